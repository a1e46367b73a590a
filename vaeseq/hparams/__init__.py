"""HParams: the hyperparameters of a model and of its training."""

import dataclasses
from collections.abc import Mapping

from vaeseq.hparams.base import HParamsBase
from vaeseq.hparams.field import MOST_UNITS, hparam

__all__ = ["HParams", "hparam"]

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
_PUBLISHED = {  # as the authors of both trained; the losses are sums, with clipped gradients
    "rnn_hidden_sizes": (32,),
    "policy_rollouts": 16,
    "policy_reward_step": 1,
    "policy_baseline": "none",
    "learning_rate": 0.01,
    "adam_beta_2": 0.999,
    "clip_gradient_norm": 5.0,
    "discriminator": "cnn",
    "discriminator_whole_windows": True,
    "discriminator_l2": 0.2,
    "discriminator_learning_rate": 1e-4,
    "discriminator_samples": 9984,
    "discriminator_epochs": 3,
    "discriminator_rounds": 5,
}
_PRESETS["seqgan_published"] = _PUBLISHED | {  # 120 epochs of the likelihood, then 50 x 3
    "vae_type": "RNN",
    "embed_size": 32,
    "sequence_size": 20,
    "batch_size": 64,
    "policy_gradient": "seqgan",
    "policy_gradient_weight": 64 * 20.0,
    "policy_elbo": "none",
    "policy_elbo_steps": 120 * 156,
    "policy_judge_steps": 50 * 3 * 156,
    "discriminator_updates": 2,
    "discriminator_filters": (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160),
}
_PRESETS["seqvae_published"] = _PUBLISHED | {  # 40 epochs of the ELBO, then 40 x 3
    "vae_type": "SEQVAE",
    "embed_size": 64,
    "latent_size": 64,
    "seqvae_use_z_inputs": False,
    "sequence_size": 8,
    "batch_size": 32,
    "policy_gradient": "prefix",
    "policy_gradient_weight": 32 * 8.0,
    "policy_elbo": "kl",
    "policy_latents": "prior",
    "policy_log_prob": "encoded",
    "policy_elbo_steps": 40 * 312,
    "policy_judge_steps": 40 * 3 * 312,
    "discriminator_widths": (1, 2, 3, 4, 6, 8),
    "discriminator_filters": (100, 200, 100, 200, 200, 100),
}


@dataclasses.dataclass(frozen=True)
class HParams(HParamsBase):
    """Hyperparameters of a model and its training. Examples subclass it with their own.

    A tuple has one item for each layer; `()` means no layers. A step is one update of the weights;
    the steps within a sequence are called time steps. NumPy's numbers become Python's.

    Raises:
      UsageError: (a `ValueError`) for an unknown name, or for a value of the wrong type or out of
        its limits.

    Example:
      >>> import vaeseq
      >>> hparams = vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(256, 256))
      >>> hparams.replace(batch_size=16).batch_size
      16
      >>> hparams.parse("learning_rate=0.01,rnn_hidden_sizes=[64]").rnn_hidden_sizes
      (64,)
      >>> vaeseq.HParams(batch_sise=16)
      Traceback (most recent call last):
      vaeseq.errors.UsageError: hparams: ...batch_sise...
    """

    presets = _PRESETS

    vae_type: str = hparam(
        "SRNN",
        "The recurrent core, a key of `vaeseq.VAE_TYPES`: RNN (no latent variables), ISEQ "
        "(independent z_t), SRNN (a chain of z_t besides the recurrent network), VRNN (z_t that "
        "feed the network), DKF (a chain of z_t alone) or SEQVAE (one z for the sequence).",
        heading="Core",
    )
    latent_size: int = hparam(
        4,
        "The number of units of each Gaussian latent variable; RNN ignores it.",
        low=1,
        high=MOST_UNITS,
    )
    latent_kind: str = hparam(
        "gaussian",
        "The distribution of z: normal units, or one-hot variables with straight-through gradients "
        "(ISEQ, SRNN, VRNN and DKF can have these).",
        choices=("gaussian", "categorical"),
    )
    latent_groups: int = hparam(
        8,
        '"categorical": the number of one-hot variables; z has `latent_groups` times '
        "`latent_classes` units, and `latent_size` is ignored.",
        low=1,
        high=1 << 10,
    )
    latent_classes: int = hparam(
        8, '"categorical": the number of classes of each variable.', low=2, high=1 << 10
    )

    obs_encoder_fc_layers: tuple[int, ...] = hparam(
        (256, 128),
        "Units of the dense layers from an observation to its features (`codec.MLPObsEncoder`).",
        low=1,
        high=MOST_UNITS,
        heading="Networks",
    )
    obs_decoder_fc_hidden_layers: tuple[int, ...] = hparam(
        (256,),
        "Units of the hidden dense layers from the core to p(x_t | ...) (`codec.MLPObsDecoder`).",
        low=1,
        high=MOST_UNITS,
    )
    latent_decoder_fc_layers: tuple[int, ...] = hparam(
        (256,),
        "Units of the hidden dense layers of the prior and posterior of z.",
        low=1,
        high=MOST_UNITS,
    )
    rnn_hidden_sizes: tuple[int, ...] = hparam(
        (32,), "Units of the layers of each recurrent network.", low=1, high=MOST_UNITS
    )
    rnn_cell: str = hparam(
        "lstm",
        "The layers of the core's recurrent networks: LSTM, or minGRU with residual connections, "
        "which trains faster and needs more layers. VRNN has LSTM alone.",
        choices=("lstm", "mingru"),
    )
    dropout: float = hparam(
        0.0,
        "The share of features that is dropped in training, after MLPObsEncoder and before "
        "MLPObsDecoder.",
        low=0,
        high=0.95,
    )
    word_dropout: float = hparam(
        0.0, "The probability in training that the context does not contain x_{t-1}.", low=0, high=1
    )
    activation: str = hparam(
        "relu",
        "The activation between dense layers.",
        choices=("relu", "elu", "tanh", "gelu", "silu"),
    )
    positive_projection: str = hparam(
        "softplus",
        "The function that makes the standard deviations of z positive.",
        choices=("softplus", "exp"),
    )
    decoder_sees_context: bool = hparam(
        False,
        "Whether p(x_t | ...) also sees c_t directly, besides the output of the recurrent network.",
    )

    gaps: bool = hparam(
        False,
        "Whether observations may have gaps (`observed_mask`): all that encodes observations then "
        "also sees which elements are observed.",
    )

    objective: str = hparam(
        "elbo",
        'The bound of log p(x) that is trained: "elbo", "iwae" (importance-weighted sequences) or '
        '"fivo" (a particle filter); see `vaeseq.vae.bounds`.',
        choices=("elbo", "iwae", "fivo"),
        heading="Objective, in nats: log p(x | z) - w KL for the ELBO",
    )
    num_particles: int = hparam(
        1,
        "The number of samples of the latents of each sequence in training. With 1 all bounds are "
        "the ELBO. RNN needs none.",
        low=1,
        high=1 << 10,
    )
    estimator: str = hparam(
        "plain",
        'The estimator of the gradient of q: "stl" leaves out the score, "dreg" is for "iwae"; '
        '"fivo" and categorical latents have "plain" alone.',
        choices=("plain", "stl", "dreg"),
    )
    divergence_schedule: str = hparam(
        "constant",
        'How w depends on the step; see `vaeseq.objectives.divergence_strength`. "constant" is the '
        'end value, "gompertz" a smooth rise, "linear" an even one, and "cyclical" repeats the '
        "linear rise.",
        choices=("gompertz", "linear", "cyclical", "constant"),
    )
    divergence_strength_start: float = hparam(
        1e-5,
        '"gompertz": w at step 0, as a share of `divergence_strength_end`. If above 0.5, w stays '
        "there.",
        above=0,
        high=1,
    )
    divergence_strength_half: float = hparam(
        500.0,
        'The step at which w is half of `divergence_strength_end`; "linear" reaches the end at '
        'twice this step, and "cyclical" starts again at four times this step.',
        above=0,
    )
    divergence_strength_end: float = hparam(
        1.0, "The final value of w. 1 is the ELBO.", low=0, high=1e3
    )
    free_bits: float = hparam(
        0.0,
        "Nats of KL without a gradient: the loss does not push the KL below this. 0 turns it off.",
        low=0,
    )
    free_bits_per: str = hparam(
        "sequence",
        "What the free nats are for: the KL of each sequence, or of each latent unit or one-hot "
        "variable (the sum over the time steps, averaged over the batch).",
        choices=("sequence", "dimension"),
    )
    use_monte_carlo_kl: bool = hparam(
        False,
        "Whether the KL is the estimate log q(z) - log p(z) at the sampled z, not the closed form.",
    )
    kl_balance: float = hparam(
        0.5,
        "The prior's share of the KL's gradient; the posterior gets the rest. 0.5 is the KL's own"
        " gradient, 1 trains only the prior.",
        low=0,
        high=1,
    )
    posterior_steps: int = hparam(
        0,
        "The number of steps at the start that train either the posterior alone or all else, so "
        "that the posterior does not lag behind (He et al. 2019); see `vaeseq.vae.lagging`. RNN "
        "has no posterior.",
        low=0,
    )
    posterior_updates: int = hparam(
        4,
        "`posterior_steps`: the number of updates of the posterior for each update of the rest.",
        low=1,
        high=1 << 20,
    )
    log_prob_samples: int = hparam(
        16,
        "The number of samples in the importance-weighted bound of `log_prob`; RNN needs none.",
        low=1,
        high=1 << 12,
    )

    srnn_use_res_q: bool = hparam(
        True,
        "SRNN: whether the posterior's mean, or logits, are learned as a residual to the prior's.",
        heading="Options of single cores",
    )
    vrnn_prior: str = hparam(
        "learned",
        'VRNN: "learned" is p(z_t | d_t), "standard" a standard normal, or uniform if z is '
        "categorical.",
        choices=("learned", "standard"),
    )
    seqvae_segment: int = hparam(
        0,
        "SEQVAE: the time steps of a segment. The decoder begins anew in each, from an embedding "
        "by a conductor that z leads, and the posterior reads segment by segment, so that longer "
        "sequences are reconstructed. 0 makes no segments.",
        low=0,
        high=1 << 20,
    )
    seqvae_parts: int = hparam(
        16,
        "With `seqvae_segment`: the number of segments that have a part of z of their own. A good "
        "number is `sequence_size` / `seqvae_segment`. Longer sequences begin again with the first "
        "part.",
        low=1,
        high=1 << 12,
    )
    seqvae_use_z_inputs: bool = hparam(
        True,
        "SEQVAE: whether z (with `seqvae_segment`, a map of the embedding) is an input of every "
        "time step, besides the first state of the decoder.",
    )
    seqvae_batch_norm: float = hparam(
        0.0,
        "SEQVAE: the standard deviation over a batch of the posterior means (gamma of BN-VAE), "
        "which keeps the KL above Z gamma^2 / 2 nats on average. 0 turns it off.",
        low=0,
    )

    policy_gradient: str = hparam(
        "none",
        'The return of choosing x_t: "seqgan" and "prefix" from rollouts, "stepwise" from rewards'
        ' of all prefixes. "none" turns the policy gradient off.',
        choices=("none", "seqgan", "prefix", "stepwise"),
        heading="Policy gradient, besides the ELBO; see `vaeseq.adversarial.policy_gradient`",
    )
    policy_gradient_weight: float = hparam(
        1.0, "The weight of the policy gradient's loss per time step; the ELBO has weight 1.", low=0
    )
    policy_elbo_steps: int = hparam(
        1000, "The number of steps at the start that train with the ELBO alone.", low=0
    )
    policy_judge_steps: int = hparam(
        200, "The number of steps after these that train the discriminator alone.", low=0
    )
    policy_elbo: str = hparam(
        "all",
        "What updates of the policy train besides its gradient: all of the ELBO, its KL alone (an "
        "update of the posterior before that of the policy), or none. Without all of it, the "
        "policy gradient has an optimizer of its own, of the same kind as the model's.",
        choices=("all", "kl", "none"),
    )
    policy_latents: str = hparam(
        "both",
        "Where the latents of generated sequences come from: half from the prior and half from the "
        "posterior of observed sequences, or all from the prior.",
        choices=("both", "prior"),
    )
    policy_log_prob: str = hparam(
        "sampled",
        "The latents z of log p(x_t | ..., z) in the policy gradient: those that x was sampled "
        "with, or latents encoded again from x.",
        choices=("sampled", "encoded"),
    )
    policy_rollouts: int = hparam(
        4, '"seqgan", "prefix": the number of rollouts of each prefix.', low=1, high=1 << 12
    )
    policy_reward_step: int = hparam(
        4,
        '"seqgan", "prefix": the number of time steps between prefixes that are rolled out.',
        low=1,
        high=1 << 20,
    )
    policy_rollout_average: float = hparam(
        0.0,
        '"seqgan", "prefix": rollouts have a moving average of the weights of the policy, of which '
        "this share stays at each update. 0 rolls out with the weights themselves.",
        low=0,
        high=0.9999,
    )
    policy_reward: str = hparam(
        "log_sigmoid",
        '"stepwise": the reward computed from the logit l_t of the prefix x_1:t: log '
        "sigmoid(l_t), tanh(l_t / 2), or the difference l_t - l_{t-1}.",
        choices=("log_sigmoid", "tanh", "difference"),
    )
    policy_discount: float = hparam(
        0.95, '"stepwise": the discount of later rewards, per time step.', low=0, high=1
    )
    policy_baseline: str = hparam(
        "critic",
        "What is subtracted from the return to reduce its variance: nothing, the mean of the "
        "batch, or the prediction of a critic (needs discriminator=causal).",
        choices=("none", "batch", "critic"),
    )
    policy_entropy_bonus: float = hparam(
        0.0, "The weight of the entropy -log p(x_t | ...) in the return, per nat.", low=0
    )
    policy_reference_kl: float = hparam(
        0.0,
        "The weight in the return, per nat, of -log p(x_t | ...) + log r(x_t | ...), where r is "
        "the policy before its first update: a penalty on the KL divergence from it.",
        low=0,
    )
    discriminator: str = hparam(
        "causal",
        'The discriminator: "cnn" (SeqGAN\'s) and "recurrent" judge whole sequences, "causal" '
        'judges all prefixes ("stepwise" needs it).',
        choices=("cnn", "recurrent", "causal"),
    )
    discriminator_size: int = hparam(
        64,
        'Units of the discriminator\'s recurrent layers, or filters of each width of "cnn".',
        low=1,
        high=MOST_UNITS,
    )
    discriminator_widths: tuple[int, ...] = hparam(
        (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20),
        '"cnn": the numbers of steps that the filters see.',
        low=1,
        high=1 << 10,
    )
    discriminator_filters: tuple[int, ...] = hparam(
        (),
        '"cnn": the number of filters of each width. () means `discriminator_size` of each.',
        low=1,
        high=MOST_UNITS,
    )
    discriminator_whole_windows: bool = hparam(
        False,
        '"cnn": whether a filter sees only windows that end within the sequence, as in SeqGAN, '
        "which is faster. Otherwise it also sees those that run over the end, padded with zeros.",
    )
    discriminator_updates: int = hparam(
        1,
        "The number of updates of the discriminator for each update of the model. With "
        "`discriminator_samples`, the number of parts of a batch, each with an update.",
        low=1,
        high=1 << 10,
    )
    discriminator_samples: int = hparam(
        0,
        "The number of generated sequences in a set that the discriminator learns from in several "
        "epochs, one batch a step; a multiple of `batch_size`. With 0 it learns from each once.",
        low=0,
        high=1 << 20,
    )
    discriminator_epochs: int = hparam(
        1,
        "`discriminator_samples`: how often the discriminator sees a set before the next.",
        low=1,
        high=1 << 10,
    )
    discriminator_rounds: int = hparam(
        1,
        "`discriminator_samples`: the number of sets between two updates of the policy.",
        low=1,
        high=1 << 10,
    )
    discriminator_l2: float = hparam(
        0.0,
        "The weight of half the squared norm of the discriminator's last layer in its loss.",
        low=0,
    )
    discriminator_learning_rate: float = hparam(
        1e-3, "The learning rate of the discriminator's optimizer, Adam.", above=0
    )

    learning_rate: float = hparam(
        1e-3, "The initial learning rate of Adam.", above=0, heading="Training"
    )
    learning_rate_decay_steps: int = hparam(
        0,
        "The number of steps over which the learning rate decays along a cosine. 0 keeps it "
        "constant.",
        low=0,
    )
    learning_rate_end: float = hparam(
        0.1, "The final learning rate, as a share of `learning_rate`.", low=0, high=1
    )
    adam_beta_2: float = hparam(
        0.99, "Adam's decay rate of the second moment.", low=0, high=0.999999
    )
    clip_gradient_norm: float = hparam(
        1.0,
        "The largest norm of all gradients together; larger ones are scaled down. 0 turns it off.",
        low=0,
    )
    check_numerics: bool = hparam(
        True,
        "Whether training stops before an update whose loss or gradient is not finite, "
        "and at observations or lengths that are out of range.",
    )
    batch_size: int = hparam(32, "The number of sequences in a batch.", low=1, high=1 << 16)
    sequence_size: int = hparam(
        64,
        "The number of time steps in a training sequence, and the default length of samples.",
        low=1,
        high=1 << 20,
    )
    seed: int = hparam(
        0,
        "The random seed of the initial weights and of training: of all noise and dropout, and in "
        "the programs also of the order of the data.",
        low=0,
        high=2**31 - 1,
    )
