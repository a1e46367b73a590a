"""What the gallery of the documentation shows, and how it is made."""
