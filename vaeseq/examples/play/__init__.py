"""vaeseq-play: learns a model of an environment, and to act by imagining in that model."""

from typing import Any

__all__ = ["Environment", "Episode", "PlayHParams", "Player", "play", "train"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `vaeseq-play --help` needs no TensorFlow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vaeseq.examples.play import api

    return getattr(api, name)
