"""vaeseq-play: learn a game, then learn to play it in imagination."""

from typing import Any

__all__ = ["Game", "PlayHParams", "Player", "play", "train"]


def __getattr__(name: str) -> Any:
    """Resolved lazily: the program's `--help` needs no TensorFlow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vaeseq.examples.play import api

    return getattr(api, name)
