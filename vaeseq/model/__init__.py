"""The model: a core wired to an encoder, a decoder and a context."""
