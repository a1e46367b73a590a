"""vaeseq: model sequences with and without latent variables.

The public names resolve when they are first used, so that importing the package is quick and
`--help` of the programs needs no TensorFlow.
"""

# ruff: noqa: F401  (what type checkers see below is resolved by __getattr__)
import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Context": "vaeseq.context",
    "DistModule": "vaeseq.dist_module",
    "HParams": "vaeseq.hparams",
    "Inference": "vaeseq.vae.core",
    "ModelBase": "vaeseq.model",
    "Report": "vaeseq.callbacks",
    "Run": "vaeseq.run",
    "State": "vaeseq.model",
    "Step": "vaeseq.vae.core",
    "Stopped": "vaeseq.errors",
    "UsageError": "vaeseq.errors",
    "VAECore": "vaeseq.vae.core",
    "VAE_TYPES": "vaeseq.vae",
    "codec": "vaeseq.codec",
    "context": "vaeseq.context",
    "make_optimizer": "vaeseq.model",
    "objectives": "vaeseq.objectives",
    "train": "vaeseq.training",
    "workers": "vaeseq.workers",
}

__all__ = sorted(_PUBLIC)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaeseq import codec, context, objectives, workers
    from vaeseq.callbacks import Report
    from vaeseq.context import Context
    from vaeseq.dist_module import DistModule
    from vaeseq.errors import Stopped, UsageError
    from vaeseq.hparams import HParams
    from vaeseq.model import ModelBase, State, make_optimizer
    from vaeseq.run import Run
    from vaeseq.training import train
    from vaeseq.vae import VAE_TYPES
    from vaeseq.vae.core import Inference, Step, VAECore


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    return module if module.__name__ == f"vaeseq.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
