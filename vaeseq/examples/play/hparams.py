"""Hyperparameters of vaeseq-play."""

import dataclasses

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams, hparam


@dataclasses.dataclass(frozen=True)
class PlayHParams(HParams):
    """Hyperparameters of the world model, the agent and their training.

    A step is one step of the real environment.
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
    divergence_strength_half: float = 100.0
    kl_balance: float = 0.8

    # An update of the world model: `batch_size` windows of `sequence_size` replayed steps.
    batch_size: int = 64
    sequence_size: int = 16

    # Collecting: the first `random_steps` actions and a share of later episodes are random.
    random_steps: int = hparam(500, low=2, high=1 << 30)
    update_every: int = hparam(1, low=1, high=1 << 20)  # steps between updates
    random_games: float = hparam(0.1, low=0, high=1)
    # Steps for which a random action is held: only long pushes make a pendulum swing.
    random_hold: int = hparam(1, low=1, high=1 << 20)
    replay_steps: int = hparam(50_000, low=16, high=1 << 26)  # capacity of the replay buffer
    game_steps: int = hparam(5_000, low=1, high=1 << 30)  # episodes are truncated after these

    # An update of the agent: `imagined_games` trajectories of `horizon` steps.
    imagined_games: int = hparam(128, low=1, high=1 << 16)
    horizon: int = hparam(15, low=1, high=1 << 12)
    dream_temperature: float = hparam(0.1, above=0)  # of imagined observations

    # The agent. "auto" is "pathwise" for continuous actions without a recurrent policy,
    # "reinforce" otherwise.
    actor_gradient: str = hparam("auto", choices=("auto", "reinforce", "pathwise"))
    policy_fc_layers: tuple[int, ...] = hparam((64, 64), low=1, high=1 << 20)
    policy_rnn_hidden_sizes: tuple[int, ...] = hparam((), low=1, high=1 << 20)
    agent_learning_rate: float = hparam(3e-3, above=0)
    discount: float = hparam(0.98, low=0, high=1)
    return_lambda: float = hparam(0.8, low=0, high=1)
    entropy_bonus: float = hparam(1e-2, low=0)
    slow_critic_rate: float = hparam(0.05, above=0, high=1)

    # Evaluation: greedy episodes; if they reach the threshold, `confirm_games` others decide.
    evaluate_every: int = hparam(250, low=1, high=1 << 30)
    evaluate_games: int = hparam(20, low=1, high=1 << 16)
    confirm_games: int = hparam(100, low=1, high=1 << 16)

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
