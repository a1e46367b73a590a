"""The command lines of the programs, and what their training runs share."""
