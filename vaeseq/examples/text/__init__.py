"""Text, character by character."""
