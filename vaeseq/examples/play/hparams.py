"""Hyperparameters of vaeseq-play."""

import dataclasses

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams, hparam


@dataclasses.dataclass(frozen=True)
class PlayHParams(HParams):
    """Hyperparameters of the world model, the agent and their training.

    A step is one step of the real environment.

    Example:
      >>> from vaeseq.examples import play
      >>> hparams = play.PlayHParams(random_steps=150, horizon=10)
      >>> hparams.vae_type
      'RNN'
    """

    # The world model.
    vae_type: str = "RNN"
    latent_size: int = 8
    rnn_hidden_sizes: tuple[int, ...] = (128,)
    obs_encoder_fc_layers: tuple[int, ...] = (64,)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = (128,)
    latent_decoder_fc_layers: tuple[int, ...] = (64,)
    decoder_sees_context: bool = True  # the last observation often shows that an episode ends
    activation: str = "silu"
    learning_rate: float = 1e-3
    clip_gradient_norm: float = 100.0
    divergence_schedule: str = "gompertz"
    divergence_strength_half: float = 100.0
    kl_balance: float = 0.8

    # An update of the world model: `batch_size` windows of `sequence_size` replayed steps.
    batch_size: int = 64
    sequence_size: int = 16

    random_steps: int = hparam(
        500,
        "The number of steps at the start whose actions are random.",
        low=2,
        high=1 << 30,
        heading="Collecting experience",
    )
    update_every: int = hparam(
        1,
        "The number of steps between updates of world model and agent. Before, from step 101 to "
        "`random_steps`, the world model alone is updated, at every step.",
        low=1,
        high=1 << 20,
    )
    random_games: float = hparam(
        0.1, "The share of later episodes whose actions are random.", low=0, high=1
    )
    random_hold: int = hparam(
        1,
        "The number of steps for which a random action is held: only long pushes make a pendulum "
        "swing.",
        low=1,
        high=1 << 20,
    )
    replay_steps: int = hparam(
        50_000,
        "The capacity of the replay buffer in steps; at least `random_steps`.",
        low=16,
        high=1 << 26,
    )
    game_steps: int = hparam(
        5_000, "The number of steps after which an episode is truncated.", low=1, high=1 << 30
    )

    imagined_games: int = hparam(
        128,
        "The number of imagined trajectories in an update of the agent.",
        low=1,
        high=1 << 16,
        heading="Imagination",
    )
    horizon: int = hparam(15, "The number of steps of each trajectory.", low=1, high=1 << 12)
    dream_temperature: float = hparam(
        0.1, "The temperature of imagined observations.", above=0, high=1e3
    )

    actor_gradient: str = hparam(
        "auto",
        'How the policy learns: "reinforce", from the returns of its actions; "pathwise", through'
        ' the world model; "auto" is "pathwise" for continuous actions without a recurrent '
        'policy, "reinforce" otherwise.',
        choices=("auto", "reinforce", "pathwise"),
        heading="Agent",
    )
    agent_sees: str = hparam(
        "observation",
        'What policy and critic see: the "observation", or the "state" of the world model, d_t and'
        " z_t, which summarises the episode so far (vae_type=VRNN or RNN).",
        choices=("observation", "state"),
    )
    policy_fc_layers: tuple[int, ...] = hparam(
        (64, 64), "Units of the dense layers of the policy and of the critic.", low=1, high=1 << 20
    )
    policy_rnn_hidden_sizes: tuple[int, ...] = hparam(
        (),
        "Units of the policy's LSTM layers; without layers, it has no memory.",
        low=1,
        high=1 << 20,
    )
    agent_learning_rate: float = hparam(
        3e-3, "The learning rate of the policy's and the critic's optimizers, Adam.", above=0
    )
    discount: float = hparam(0.98, "The discount of later rewards, per step.", low=0, high=1)
    return_lambda: float = hparam(
        0.8,
        "The lambda of the returns: 0 trusts the critic's value of the next step, 1 only rewards "
        "and the value at the horizon.",
        low=0,
        high=1,
    )
    entropy_bonus: float = hparam(
        1e-2, "The weight of the policy's entropy in its objective, per nat.", low=0
    )
    slow_critic_rate: float = hparam(
        0.05,
        "The share by which the slow critic, which gives the values in the returns, moves "
        "towards the critic in each update.",
        above=0,
        high=1,
    )

    evaluate_every: int = hparam(
        250, "The number of steps between evaluations.", low=1, high=1 << 30, heading="Evaluation"
    )
    evaluate_games: int = hparam(
        20, "The number of greedy episodes in an evaluation.", low=1, high=1 << 16
    )
    confirm_games: int = hparam(
        100,
        "The number of other episodes that decide, if those of an evaluation reach the threshold.",
        low=1,
        high=1 << 16,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay_steps < self.random_steps:
            raise UsageError("hparams: replay_steps must be at least random_steps")
        if self.actor_gradient == "pathwise" and self.policy_rnn_hidden_sizes:
            raise UsageError(
                "hparams: actor_gradient=pathwise needs a policy without memory; leave out "
                "policy_rnn_hidden_sizes, or use actor_gradient=reinforce"
            )

    def pathwise(self, discrete: bool) -> bool:
        """Returns whether the policy's gradient is taken through the world model."""
        if self.actor_gradient == "auto":
            return not discrete and not self.policy_rnn_hidden_sizes
        return self.actor_gradient == "pathwise"
