"""vaeseq: model sequences with and without latent variables.

The public names resolve when they are first used, so that importing the package is quick and
`--help` of the programs needs no TensorFlow.
"""

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
__version__ = "0.2.0"

if TYPE_CHECKING:  # `as` makes a name public for strict type checkers
    from vaeseq import codec as codec
    from vaeseq import context as context
    from vaeseq import metrics as metrics
    from vaeseq.context import Context as Context
    from vaeseq.errors import Stopped as Stopped
    from vaeseq.errors import UsageError as UsageError
    from vaeseq.fan import plot_fan as plot_fan
    from vaeseq.hparams import HParams as HParams
    from vaeseq.hparams import hparam as hparam
    from vaeseq.model.base import ModelBase as ModelBase
    from vaeseq.model.base import make_optimizer as make_optimizer
    from vaeseq.model.smoothing import Smoothing as Smoothing
    from vaeseq.model.wiring import State as State
    from vaeseq.nn.dist_module import DistModule as DistModule
    from vaeseq.nn.lstm import LSTM as LSTM
    from vaeseq.nn.lstm import LSTMStack as LSTMStack
    from vaeseq.nn.mlp import concat as concat
    from vaeseq.nn.recurrence import make_stack as make_stack
    from vaeseq.nn.sequences import over_time as over_time
    from vaeseq.nn.support import Support as Support
    from vaeseq.training import workers as workers
    from vaeseq.training.callbacks import Report as Report
    from vaeseq.training.loop import train as train
    from vaeseq.training.run import Run as Run
    from vaeseq.vae import VAE_TYPES as VAE_TYPES
    from vaeseq.vae import objectives as objectives
    from vaeseq.vae.categorical import Categorical as Categorical
    from vaeseq.vae.core import Inference as Inference
    from vaeseq.vae.core import Step as Step
    from vaeseq.vae.core import VAECore as VAECore
    from vaeseq.vae.gaussian import Gaussian as Gaussian
    from vaeseq.vae.latent import LatentDecoder as LatentDecoder
else:  # type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'vaeseq' has no attribute {name!r}")
        module = importlib.import_module(_PUBLIC[name])
        return module if module.__name__.endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
