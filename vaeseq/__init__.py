"""vaeseq: model sequences with and without latent variables.

The public names resolve when they are first used, so that importing the package is quick and
`--help` of the programs needs no TensorFlow.
"""

# ruff: noqa: F401  (what type checkers see below is resolved by __getattr__)
import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Categorical": "vaeseq.vae.categorical",
    "Context": "vaeseq.context",
    "DistModule": "vaeseq.nn.dist_module",
    "Gaussian": "vaeseq.vae.gaussian",
    "HParams": "vaeseq.hparams",
    "Inference": "vaeseq.vae.core",
    "LSTM": "vaeseq.nn.lstm",
    "LSTMStack": "vaeseq.nn.lstm",
    "LatentDecoder": "vaeseq.vae.latent",
    "ModelBase": "vaeseq.model.base",
    "Report": "vaeseq.training.callbacks",
    "Run": "vaeseq.training.run",
    "Smoothing": "vaeseq.model.smoothing",
    "State": "vaeseq.model.wiring",
    "Step": "vaeseq.vae.core",
    "Stopped": "vaeseq.errors",
    "Support": "vaeseq.nn.support",
    "UsageError": "vaeseq.errors",
    "VAECore": "vaeseq.vae.core",
    "VAE_TYPES": "vaeseq.vae",
    "codec": "vaeseq.codec",
    "concat": "vaeseq.nn.mlp",
    "context": "vaeseq.context",
    "hparam": "vaeseq.hparams",
    "make_optimizer": "vaeseq.model.base",
    "make_stack": "vaeseq.nn.recurrence",
    "metrics": "vaeseq.metrics",
    "objectives": "vaeseq.vae.objectives",
    "over_time": "vaeseq.nn.sequences",
    "plot_fan": "vaeseq.fan",
    "train": "vaeseq.training.loop",
    "workers": "vaeseq.training.workers",
}

__all__ = sorted(_PUBLIC)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaeseq import codec, context, metrics
    from vaeseq.context import Context
    from vaeseq.errors import Stopped, UsageError
    from vaeseq.fan import plot_fan
    from vaeseq.hparams import HParams, hparam
    from vaeseq.model.base import ModelBase, make_optimizer
    from vaeseq.model.smoothing import Smoothing
    from vaeseq.model.wiring import State
    from vaeseq.nn.dist_module import DistModule
    from vaeseq.nn.lstm import LSTM, LSTMStack
    from vaeseq.nn.mlp import concat
    from vaeseq.nn.recurrence import make_stack
    from vaeseq.nn.sequences import over_time
    from vaeseq.nn.support import Support
    from vaeseq.training import workers
    from vaeseq.training.callbacks import Report
    from vaeseq.training.loop import train
    from vaeseq.training.run import Run
    from vaeseq.vae import VAE_TYPES, objectives
    from vaeseq.vae.categorical import Categorical
    from vaeseq.vae.core import Inference, Step, VAECore
    from vaeseq.vae.gaussian import Gaussian
    from vaeseq.vae.latent import LatentDecoder


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    return module if module.__name__.endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
