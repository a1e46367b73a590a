"""Games: a world model, and an agent that learns inside it."""
