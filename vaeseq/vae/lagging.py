"""Aggressive training of a posterior that lags behind the generative model.

At the start of training q(z | x) knows nothing yet, and a decoder that learns faster stops
expecting anything from z: the posterior collapses (He, Spokoyny, Neubig, Berg-Kirkpatrick 2019,
arXiv:1901.05534). While the step is below `hparams.posterior_steps`, each update therefore trains a
part of the variables. With `hparams.posterior_updates` = 3:

    posterior posterior posterior generative | posterior posterior posterior generative | ...

In the paper the posterior is updated until its bound no longer improves, and this ends when the
mutual information of x and z no longer rises. Here both are numbers of steps, so what a step
trains is a function of its number alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import keras

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.vae.core import VAECore

Part: TypeAlias = Literal["all", "posterior", "generative"]
"""The variables that an update changes."""

PARTS: tuple[Part, ...] = ("all", "posterior", "generative")


def part(hparams: HParams, step: int) -> Part:
    """Returns which variables the update of a step changes."""
    if step >= hparams.posterior_steps:
        return "all"
    updates = hparams.posterior_updates
    return "generative" if step % (updates + 1) == updates else "posterior"


def variables_of(
    part: Part, variables: Sequence[keras.Variable], core: VAECore, others: Iterable[Any]
) -> list[keras.Variable]:
    """Returns the variables of a part, in their order.

    Args:
      part: the part.
      variables: those of the whole model.
      core: the core, whose `posterior_layers` are the posterior.
      others: the other layers of the generative model. What they share with the posterior, such as
        an embedding of observations, is generative.
    """
    if part == "all":
        return list(variables)
    own = _ids(core.posterior_layers) - _ids(others)
    return [x for x in variables if (id(x) in own) == (part == "posterior")]


def check(core: VAECore) -> None:
    """Checks that a core can train its posterior apart, if `hparams.posterior_steps` says so.

    Raises:
      UsageError: if it cannot.
    """
    hparams = core.hparams
    if not hparams.posterior_steps:
        return
    if core.latent_size == 0:
        raise UsageError(
            f"hparams: posterior_steps={hparams.posterior_steps} needs latent variables, and "
            f"{hparams.vae_type} has none; set posterior_steps=0"
        )
    if not core.posterior_layers:
        raise UsageError(
            f"hparams: posterior_steps={hparams.posterior_steps} needs a core that says what "
            f"belongs to its posterior alone; {type(core).__name__} must define posterior_layers, "
            "or set posterior_steps=0"
        )


def _ids(layers: Iterable[Any]) -> set[int]:
    """Returns the identities of the variables of layers; a function has none."""
    return {id(x) for layer in layers for x in getattr(layer, "trainable_variables", ())}
