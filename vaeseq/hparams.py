"""Hyperparameters: a frozen dataclass that also reads `name=value,...`."""

import contextlib
import dataclasses
import json
import math
import re
import typing
from typing import Any, NamedTuple, Self

from vaeseq.errors import UsageError, did_you_mean


class Limits(NamedTuple):
    """The values that a field of `HParams` may have; a tuple's items are held to them singly."""

    low: float = -math.inf
    above: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = []
        if self.above > -math.inf:
            words.append(f"above {self.above:g}")
        if self.low > -math.inf:
            words.append(f"at least {self.low:g}")
        if self.high < math.inf:
            words.append(f"at most {self.high:g}")
        return ", ".join(words) or "must be finite"


def hparam(
    default: Any,
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """Returns a field of `HParams`: low <= value <= high, value > above, or one of `choices`.

    A subclass that overrides only the default writes `name: type = value`; the limits stay.
    """
    limits = Limits(low, above, high, choices)
    return dataclasses.field(default=default, metadata={"limits": limits})


_MOST_UNITS = 1 << 20  # of a layer: what is above is a mistake, or an attack
_MOST_LAYERS = 64

_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {  # Gao, Cui, Ding 2021
        "vae_type": "SEQVAE",
        "rnn_hidden_sizes": (32,),
        "embed_size": 64,
        "latent_size": 64,
        "seqvae_use_z_inputs": False,
    },
    "seqgan": {  # Yu, Zhang, Wang, Yu 2016, arXiv:1609.05473
        "vae_type": "RNN",
        "rnn_hidden_sizes": (32,),
        "embed_size": 32,
        "policy_gradient": "seqgan",
        "policy_baseline": "none",
        "policy_rollouts": 16,
        "policy_reward_step": 1,
        "discriminator": "cnn",
    },
}


@dataclasses.dataclass(frozen=True)
class HParams:
    """Hyperparameters of a model and its training; examples subclass it with their own.

    Raises `UsageError` (a `ValueError`) for a value of the wrong type or out of range.
    """

    # The core, a key of `vaeseq.VAE_TYPES`, and the size of z_t.
    vae_type: str = hparam("SRNN")
    latent_size: int = hparam(4, low=1, high=_MOST_UNITS)

    # Networks.
    obs_encoder_fc_layers: tuple[int, ...] = hparam((256, 128), low=1, high=_MOST_UNITS)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = hparam((256,), low=1, high=_MOST_UNITS)
    latent_decoder_fc_layers: tuple[int, ...] = hparam((256,), low=1, high=_MOST_UNITS)
    rnn_hidden_sizes: tuple[int, ...] = hparam((32,), low=1, high=_MOST_UNITS)
    dropout: float = hparam(0.0, low=0, high=0.95)  # of what MLP codecs give and take
    word_dropout: float = hparam(0.0, low=0, high=1)  # of whole x_{t-1} in contexts
    activation: str = hparam("relu", choices=("relu", "elu", "tanh", "gelu", "silu"))
    positive_projection: str = hparam("softplus", choices=("softplus", "exp"))

    # Whether the decoder sees c_t, too, and not only what the recurrent network makes of it.
    decoder_sees_context: bool = hparam(False)

    # Objective: log p(x|z) - strength * KL, where the strength is half of `end` at step `half`;
    # see `objectives.divergence_strength`.
    divergence_schedule: str = hparam(
        "gompertz", choices=("gompertz", "linear", "cyclical", "constant")
    )
    divergence_strength_start: float = hparam(1e-5, above=0, high=1)
    divergence_strength_half: float = hparam(500.0, above=0)
    divergence_strength_end: float = hparam(1.0, low=0, high=1e3)
    free_bits: float = hparam(0.0, low=0)  # nats of KL that cost nothing
    free_bits_per: str = hparam("sequence", choices=("sequence", "dimension"))
    use_monte_carlo_kl: bool = hparam(False)
    kl_balance: float = hparam(0.5, low=0, high=1)  # the prior's share of the KL's gradient
    srnn_use_res_q: bool = hparam(True)
    seqvae_use_z_inputs: bool = hparam(True)  # z at every step, not only in the first state
    seqvae_batch_norm: float = hparam(0.0, low=0)  # BN-VAE: gamma; 0 is off
    log_prob_samples: int = hparam(16, low=1, high=1 << 12)

    # Policy gradient, beside the ELBO; see `vaeseq.adversarial.policy_gradient`.
    policy_gradient: str = hparam("none", choices=("none", "seqgan", "prefix", "stepwise"))
    policy_gradient_weight: float = hparam(1.0, low=0)  # beside the ELBO's, per time step
    policy_elbo_steps: int = hparam(1000, low=0)  # of the ELBO alone
    policy_judge_steps: int = hparam(200, low=0)  # of the discriminator alone
    policy_rollouts: int = hparam(4, low=1, high=1 << 12)
    policy_reward_step: int = hparam(4, low=1, high=1 << 20)
    policy_reward: str = hparam("log_sigmoid", choices=("log_sigmoid", "tanh", "difference"))
    policy_discount: float = hparam(0.95, low=0, high=1)
    policy_baseline: str = hparam("critic", choices=("none", "batch", "critic"))
    policy_entropy_bonus: float = hparam(0.0, low=0)
    discriminator: str = hparam("causal", choices=("cnn", "recurrent", "causal"))
    discriminator_size: int = hparam(64, low=1, high=_MOST_UNITS)  # units, or filters of a width
    discriminator_updates: int = hparam(1, low=1, high=1 << 10)  # for one of the generator
    discriminator_learning_rate: float = hparam(1e-3, above=0)

    # Training.
    learning_rate: float = hparam(1e-3, above=0)
    learning_rate_decay_steps: int = hparam(0, low=0)  # falls until then; 0: it does not
    learning_rate_end: float = hparam(0.1, low=0, high=1)  # what is left of it after that
    adam_beta_2: float = hparam(0.99, low=0, high=0.999999)
    clip_gradient_norm: float = hparam(1.0, low=0)  # of all gradients together; 0 is off
    check_numerics: bool = hparam(True)
    batch_size: int = hparam(32, low=1, high=1 << 16)
    sequence_size: int = hparam(64, low=1, high=1 << 20)
    seed: int = hparam(0, low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        types, limits = typing.get_type_hints(type(self)), _limits(type(self))
        for name in types:
            value = _checked(name, types[name], limits.get(name, Limits()), getattr(self, name))
            object.__setattr__(self, name, value)

    def parse(self, text: str) -> Self:
        """Returns a copy changed by `text`, such as `latent_size=8,rnn_hidden_sizes=[256,256]`.

        Whole sets of changes have names: `preset=paper` is the model of the SeqVAE paper,
        `preset=seqgan` is SeqGAN.
        """
        changes: dict[str, Any] = {}
        for item in filter(None, re.split(r",\s*(?![^\[]*\])", text.strip())):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise UsageError(f"hparams: {item!r} is not of the form name=value")
            if name in changes:
                raise UsageError(f"hparams: {name} is given twice")
            changes[name] = _read(value)
        preset = changes.pop("preset", None)
        return self.replace(**(self._preset(preset) | changes))

    def _preset(self, name: str | None) -> dict[str, Any]:
        if name is None:
            return {}
        if name not in _PRESETS:
            raise UsageError(f"hparams: unknown preset {name!r}{did_you_mean(name, _PRESETS)}")
        own = {field.name for field in dataclasses.fields(self)}
        return {key: value for key, value in _PRESETS[name].items() if key in own}

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed."""
        names = {field.name for field in dataclasses.fields(self)}
        for name in changes:
            if name not in names:
                raise UsageError(f"hparams: unknown name {name!r}{did_you_mean(name, names)}")
        return dataclasses.replace(self, **changes)


def _limits(cls: type) -> dict[str, Limits]:
    """Returns the limits by name: those of the class that declares a field with `hparam`."""
    return {
        field.name: field.metadata["limits"]
        for base in reversed(cls.__mro__)
        for field in getattr(base, "__dataclass_fields__", {}).values()
        if "limits" in field.metadata
    }


def _read(text: str) -> Any:
    """A JSON value, or any other number, or a plain word such as the SRNN of `vae_type=SRNN`."""
    for read in (lambda: json.loads(text.lower() if _is_bool(text) else text), lambda: float(text)):
        with contextlib.suppress(ValueError):
            return read()
    return text.strip("'\"")


def _is_bool(text: str) -> bool:
    return text.lower() in ("true", "false")


def _checked(name: str, kind: Any, limits: Limits, value: Any) -> Any:
    """Returns `value` as the type `kind`, or raises `UsageError`."""
    if typing.get_origin(kind) is tuple:
        items = value if isinstance(value, (list, tuple)) else (value,)
        if len(items) > _MOST_LAYERS:
            raise UsageError(f"hparams: {name} has more than {_MOST_LAYERS} items")
        return tuple(_checked(name, typing.get_args(kind)[0], limits, item) for item in items)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"hparams: {name} must be {kind.__name__}, not {value!r}")
    if limits.choices and value not in limits.choices:
        hint = did_you_mean(value, limits.choices)
        raise UsageError(f"hparams: {name} cannot be {value!r}{hint}")
    if kind in (int, float) and not (
        limits.low <= value <= limits.high and limits.above < value < math.inf
    ):
        raise UsageError(f"hparams: {name} = {value} is out of range: {limits}")
    return value
