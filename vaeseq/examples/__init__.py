"""The three programs, and models to learn from."""
