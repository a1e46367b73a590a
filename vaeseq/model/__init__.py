"""Sequence models: a core wired to an encoder, a decoder and a context, and what they can do."""
