"""Hyperparameters: a frozen dataclass that also parses `name=value,...`."""

import contextlib
import dataclasses
import json
import math
import re
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple, Self, TypeVar

from vaeseq.errors import UsageError, did_you_mean

T = TypeVar("T")


class Limits(NamedTuple):
    """The allowed values of a field of `HParams`; of each item if the field is a tuple."""

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
    default: T,
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> T:
    """Returns a field of `HParams`: low <= value <= high, value > above, or one of `choices`.

    A subclass, a frozen dataclass as well, overrides only the default by `name: type = value`; the
    limits stay.
    """
    limits = Limits(low, above, high, choices)
    return dataclasses.field(default=default, metadata={"limits": limits})


# Larger values are mistakes, or attacks by a run directory of unknown origin.
_MOST_UNITS = 1 << 20  # of a layer
_MOST_LAYERS = 64

_PRESETS: dict[str, Mapping[str, object]] = {
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
    """Hyperparameters of a model and its training. Examples subclass it with their own.

    The comment above each field describes it; the limits follow the default. A tuple has one item
    for each layer; `()` means no layers. A step is one update of the weights; the steps within a
    sequence are called time steps.

    Raises:
      UsageError: (a `ValueError`) for a value of the wrong type or out of its limits.
    """

    # --- Core ---

    # The recurrent core, a key of `vaeseq.VAE_TYPES`: RNN (no latent variables), ISEQ (independent
    # z_t), SRNN (a chain of z_t) or SEQVAE (one z for the sequence).
    vae_type: str = hparam("SRNN")
    # The number of units of each latent variable; RNN ignores it.
    latent_size: int = hparam(4, low=1, high=_MOST_UNITS)

    # --- Networks ---

    # Units of the dense layers from an observation to its features (`codec.MLPObsEncoder`).
    obs_encoder_fc_layers: tuple[int, ...] = hparam((256, 128), low=1, high=_MOST_UNITS)
    # Units of the hidden dense layers from the core to p(x_t | ...) (`codec.MLPObsDecoder`).
    obs_decoder_fc_hidden_layers: tuple[int, ...] = hparam((256,), low=1, high=_MOST_UNITS)
    # Units of the hidden dense layers of the prior and posterior of z.
    latent_decoder_fc_layers: tuple[int, ...] = hparam((256,), low=1, high=_MOST_UNITS)
    # Units of the LSTM layers of each recurrent network.
    rnn_hidden_sizes: tuple[int, ...] = hparam((32,), low=1, high=_MOST_UNITS)
    # The share of features that is dropped in training, after MLPObsEncoder and before
    # MLPObsDecoder.
    dropout: float = hparam(0.0, low=0, high=0.95)
    # The probability in training that the context does not contain x_{t-1}.
    word_dropout: float = hparam(0.0, low=0, high=1)
    # The activation between dense layers.
    activation: str = hparam("relu", choices=("relu", "elu", "tanh", "gelu", "silu"))
    # The function that makes the standard deviations of z positive.
    positive_projection: str = hparam("softplus", choices=("softplus", "exp"))
    # Whether p(x_t | ...) also sees c_t directly, besides the output of the recurrent network.
    decoder_sees_context: bool = hparam(False)

    # --- Objective: log p(x | z) - w KL, in nats ---

    # How w depends on the step; see `vaeseq.objectives.divergence_strength`. "gompertz" is a smooth
    # rise, "linear" an even one, "cyclical" repeats the linear rise, "constant" is the end value.
    divergence_schedule: str = hparam(
        "gompertz", choices=("gompertz", "linear", "cyclical", "constant")
    )
    # "gompertz": w at step 0, as a share of `divergence_strength_end`. If above 0.5, w stays there.
    divergence_strength_start: float = hparam(1e-5, above=0, high=1)
    # The step at which w is half of `divergence_strength_end`; "linear" reaches the end at twice
    # this step, and "cyclical" starts again at four times this step.
    divergence_strength_half: float = hparam(500.0, above=0)
    # The final value of w. 1 is the ELBO.
    divergence_strength_end: float = hparam(1.0, low=0, high=1e3)
    # Nats of KL without a gradient: the loss does not push the KL below this. 0 turns it off.
    free_bits: float = hparam(0.0, low=0)
    # What the free nats are for: the KL of each sequence, or of each latent unit (the sum over the
    # time steps, averaged over the batch).
    free_bits_per: str = hparam("sequence", choices=("sequence", "dimension"))
    # Whether the KL is the estimate log q(z) - log p(z) at the sampled z, not the closed form.
    use_monte_carlo_kl: bool = hparam(False)
    # The prior's share of the KL's gradient; the posterior gets the rest. 0.5 is the KL's own
    # gradient, 1 trains only the prior.
    kl_balance: float = hparam(0.5, low=0, high=1)
    # The number of samples in the importance-weighted bound of `log_prob`; RNN needs none.
    log_prob_samples: int = hparam(16, low=1, high=1 << 12)

    # --- Options of single cores ---

    # SRNN: whether the posterior's mean is learned as a residual to the prior's.
    srnn_use_res_q: bool = hparam(True)
    # SEQVAE: whether z is an input of every time step, besides the first state of the decoder.
    seqvae_use_z_inputs: bool = hparam(True)
    # SEQVAE: the standard deviation over a batch of the posterior means (gamma of BN-VAE), which
    # keeps the KL above Z gamma^2 / 2 nats on average. 0 turns it off.
    seqvae_batch_norm: float = hparam(0.0, low=0)

    # --- Policy gradient, besides the ELBO; see `vaeseq.adversarial.policy_gradient` ---

    # The return of choosing x_t: "seqgan" and "prefix" from rollouts, "stepwise" from rewards of
    # all prefixes. "none" turns the policy gradient off.
    policy_gradient: str = hparam("none", choices=("none", "seqgan", "prefix", "stepwise"))
    # The weight of the policy gradient's loss per time step; the ELBO has weight 1.
    policy_gradient_weight: float = hparam(1.0, low=0)
    # The number of steps at the start that train with the ELBO alone.
    policy_elbo_steps: int = hparam(1000, low=0)
    # The number of steps after these that train the discriminator alone.
    policy_judge_steps: int = hparam(200, low=0)
    # "seqgan", "prefix": the number of rollouts of each prefix.
    policy_rollouts: int = hparam(4, low=1, high=1 << 12)
    # "seqgan", "prefix": the number of time steps between prefixes that are rolled out.
    policy_reward_step: int = hparam(4, low=1, high=1 << 20)
    # "stepwise": the reward computed from the logit l_t of the prefix x_1:t: log sigmoid(l_t),
    # tanh(l_t / 2), or the difference l_t - l_{t-1}.
    policy_reward: str = hparam("log_sigmoid", choices=("log_sigmoid", "tanh", "difference"))
    # "stepwise": the discount of later rewards, per time step.
    policy_discount: float = hparam(0.95, low=0, high=1)
    # What is subtracted from the return to reduce its variance: nothing, the mean of the batch, or
    # the prediction of a critic (needs discriminator=causal).
    policy_baseline: str = hparam("critic", choices=("none", "batch", "critic"))
    # The weight of the entropy -log p(x_t | ...) in the return, per nat.
    policy_entropy_bonus: float = hparam(0.0, low=0)
    # The discriminator: "cnn" (SeqGAN's) and "recurrent" judge whole sequences, "causal" judges all
    # prefixes ("stepwise" needs it).
    discriminator: str = hparam("causal", choices=("cnn", "recurrent", "causal"))
    # Units of the discriminator's recurrent layers, or filters of each width of "cnn".
    discriminator_size: int = hparam(64, low=1, high=_MOST_UNITS)
    # The number of updates of the discriminator for each update of the model.
    discriminator_updates: int = hparam(1, low=1, high=1 << 10)
    # The learning rate of the discriminator's optimizer, Adam.
    discriminator_learning_rate: float = hparam(1e-3, above=0)

    # --- Training ---

    # The initial learning rate of Adam.
    learning_rate: float = hparam(1e-3, above=0)
    # The number of steps over which the learning rate decays along a cosine. 0 keeps it constant.
    learning_rate_decay_steps: int = hparam(0, low=0)
    # The final learning rate, as a share of `learning_rate`.
    learning_rate_end: float = hparam(0.1, low=0, high=1)
    # Adam's decay rate of the second moment.
    adam_beta_2: float = hparam(0.99, low=0, high=0.999999)
    # The largest norm of all gradients together; larger ones are scaled down. 0 turns it off.
    clip_gradient_norm: float = hparam(1.0, low=0)
    # Whether training stops before an update whose loss or gradient is not finite.
    check_numerics: bool = hparam(True)
    # The number of sequences in a batch.
    batch_size: int = hparam(32, low=1, high=1 << 16)
    # The number of time steps in a training sequence, and the default length of samples.
    sequence_size: int = hparam(64, low=1, high=1 << 20)
    # The random seed of training: of all noise and dropout, and in the programs also of the initial
    # weights and of the order of the data.
    seed: int = hparam(0, low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        own = vars(type(self))
        if "__annotations__" in own and "__dataclass_fields__" not in own:
            raise TypeError(
                f"{type(self).__name__} must be a dataclass, or its fields are ignored: "
                "decorate it with @dataclasses.dataclass(frozen=True)"
            )
        types, limits = typing.get_type_hints(type(self)), _limits(type(self))
        for name in types:
            value = _checked(name, types[name], limits.get(name, Limits()), getattr(self, name))
            object.__setattr__(self, name, value)

    def parse(self, text: str) -> Self:
        """Returns a copy changed by `text`, such as `latent_size=8,rnn_hidden_sizes=[256,256]`.

        `preset=paper` sets the model of the SeqVAE paper, `preset=seqgan` that of SeqGAN; other
        values in `text` override the preset's.

        Raises:
          UsageError: if `text` is malformed, or has an unknown name or a value that is not allowed.
        """
        changes: dict[str, object] = {}
        for item in filter(None, re.split(r",\s*(?![^\[]*\])", text.strip())):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise UsageError(f"hparams: {item!r} is not of the form name=value")
            if name in changes:
                raise UsageError(f"hparams: {name} is given twice")
            changes[name] = _parse_value(value)
        preset = self._preset(changes.pop("preset")) if "preset" in changes else {}
        return self.replace(**(preset | changes))

    def _preset(self, name: object) -> dict[str, object]:
        """Returns the values of a preset, without those for which the class has no field."""
        if name not in _PRESETS:
            raise UsageError(f"hparams: unknown preset {name!r}{did_you_mean(str(name), _PRESETS)}")
        fields = {field.name for field in dataclasses.fields(self)}
        return {key: value for key, value in _PRESETS[str(name)].items() if key in fields}

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed.

        Raises:
          UsageError: for an unknown name or a value that is not allowed.
        """
        names = {field.name for field in dataclasses.fields(self)}
        for name in changes:
            if name not in names:
                raise UsageError(f"hparams: unknown name {name!r}{did_you_mean(name, names)}")
        return dataclasses.replace(self, **changes)


def _limits(cls: type) -> dict[str, Limits]:
    """Returns the limits of each field, from the class that declares it with `hparam`."""
    return {
        field.name: field.metadata["limits"]
        for base in reversed(cls.__mro__)
        for field in getattr(base, "__dataclass_fields__", {}).values()
        if "limits" in field.metadata
    }


def _parse_value(text: str) -> object:
    """Parses a JSON value, a number that JSON does not allow (`1.`), or a word without quotes."""
    lower = text.lower()
    with contextlib.suppress(ValueError):
        return json.loads(lower if lower in ("true", "false") else text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text.strip("'\"")


def _checked(name: str, kind: type, limits: Limits, value: object) -> object:
    """Returns `value` as the type `kind`, or raises `UsageError`."""
    if typing.get_origin(kind) is tuple:
        items = value if isinstance(value, (list, tuple)) else (value,)
        if len(items) > _MOST_LAYERS:
            raise UsageError(f"hparams: {name} has {len(items)} items, above {_MOST_LAYERS}")
        return tuple(_checked(name, typing.get_args(kind)[0], limits, item) for item in items)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"hparams: {name} must be {kind.__name__}, not {value!r}")
    if limits.choices and value not in limits.choices:
        hint = did_you_mean(str(value), limits.choices)
        raise UsageError(f"hparams: {name} cannot be {value!r}{hint}")
    if isinstance(value, (int, float)) and not (
        limits.low <= value <= limits.high and limits.above < value < math.inf
    ):
        raise UsageError(f"hparams: {name} = {value} is out of range: {limits}")
    return value
