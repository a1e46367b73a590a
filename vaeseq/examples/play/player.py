"""The player: a world model that learns from a replay buffer, and an agent that learns in it."""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import keras
import tensorflow as tf

from vaeseq.examples.play.actor_critic import ActorCritic
from vaeseq.examples.play.agent import Actor, Agent, Memory
from vaeseq.examples.play.collect import Collected, Collector, Progress
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.imagination import Start
from vaeseq.examples.play.replay import Replay, Transitions
from vaeseq.examples.play.world import Outcome, World
from vaeseq.model.wiring import State
from vaeseq.nn import finite

StateNest = TypeVar("StateNest")  # a nest of tensors

_FIRST_UPDATE = 100  # steps before the first update


class _Sample(NamedTuple):
    """Windows of the replay buffer, and all else that one update needs."""

    first: Transitions  # [B, ...]
    transitions: Transitions  # [B, T, ...]
    lengths: tf.Tensor  # [B]
    observations: tf.Tensor  # o_0 to o_T, [B, T + 1, X]
    outcomes: Outcome  # [B, T, ...]
    state: State  # of the world model before the first transition
    start_seed: tf.Tensor
    imagination_seed: tf.Tensor


class Player(keras.Model):
    """Learns to act in an environment. A training step is one step of the real environment.

    Args:
      hparams: the hyperparameters.
      observation_size: X.
      action_size: A.
      discrete: whether actions are one-hot.

    Attributes:
      world: the world model.
      agent: the policy and the critic.
      actor: the compiled policy.
      replay: the newest transitions.
      progress: how far the player is in the real environment.

    Example:
      >>> from vaeseq.examples import play
      >>> hparams = play.PlayHParams(rnn_hidden_sizes=(8,))
      >>> player = play.Player(hparams, observation_size=4, action_size=2, discrete=True)
      >>> player.world.hparams.vae_type
      'RNN'
    """

    def __init__(
        self, hparams: PlayHParams, observation_size: int, action_size: int, discrete: bool
    ):
        super().__init__(name="player")
        self.hparams = hparams
        self.world = World(hparams, observation_size, action_size)
        self.agent = Agent(hparams, self.world.seen_size, action_size, discrete)
        self.actor = Actor(self.agent, self.world)
        self.replay = Replay(hparams.replay_steps, observation_size, action_size)
        self.progress = Progress(self.actor.initial_memory(1))
        self._game_return = keras.metrics.Mean("game_return")
        pathwise = hparams.pathwise(discrete)
        self.actor_critic = ActorCritic(hparams, self.world, self.agent, pathwise)
        self.built = True

    def train_in(self, environment: Environment) -> None:
        """Sets the environment in which `fit` trains; a step of `fit` takes a step in it."""
        self._collector = Collector(
            environment, self.actor, self.replay, self.progress, self.hparams
        )

    # What Keras and `vaeseq.train` need.

    train_function: Any

    def compile(self, **kwargs: Any) -> None:
        """Compiles with the optimizers that the hyperparameters describe."""
        self.world.compile()
        self.actor_critic.compile()
        super().compile(self.world.optimizer, **kwargs)

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables that take memory, including the replay buffer, which is not a weight."""
        return [*super().variables, *self.replay.variables]

    @property
    def trained_steps(self) -> int:
        """The number of steps in the real environment."""
        return int(self.progress.steps.numpy())

    @property
    def training_state(self) -> dict[str, list[tf.Variable | keras.Variable]]:
        """The variables that a checkpoint keeps beside the weights, in named groups."""
        optimizers = self.world.optimizer, self.actor_critic.optimizer
        return {
            "optimizer": [x for optimizer in optimizers for x in optimizer.variables],
            "metrics": [x for metric in self.metrics for x in metric.variables],
            "replay": self.replay.variables,
            "place": self.progress.variables,
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the world model in nats, and means for the agent.

        game_return: return of the finished real episodes. imagined_return: discounted return of the
        states where imagined trajectories start. entropy: entropy of the policy in nats.
        critic_loss: half the squared error of the critic, relative to the scale of the returns.
        """
        return [*self.world.metrics, self._game_return, *self.actor_critic.metrics]

    def make_train_function(self, force: bool = False) -> None:
        """Makes a train function that takes one real step and then the updates that are due.

        The batches only number the steps: which transition comes next depends on the policy.
        A single compiled call stores the transition and updates the weights, so that an
        interrupted process has done both or neither.
        """
        if self.train_function is not None and not force:
            return
        signature = [self._collected_spec]
        store, train_world, train_both = (
            tf.function(step, signature, autograph=False)
            for step in (self._store, self._train_world, self._train_world_and_agent)
        )

        def train_function(iterator: Iterator[object]) -> dict[str, tf.Tensor]:
            next(iterator)
            world, agent = self._due(self.trained_steps + 1)
            step = train_both if agent else train_world if world else store
            return step(self._collector.step())

        self.train_function = finite.raise_clear_errors(train_function)

    def _due(self, step: int) -> tuple[bool, bool]:
        """Returns whether the world model is updated after a step, and whether the agent is.

        During the first random steps only the world model learns: an agent would only learn the
        mistakes of a world model that knows nothing yet.
        """
        if step <= self.hparams.random_steps:
            return step > _FIRST_UPDATE, False
        due = step % self.hparams.update_every == 0
        return due, due

    @property
    def _collected_spec(self) -> Collected:
        rows = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in self.replay.rows]
        memory = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype), self.progress.memory
        )
        return Collected(Transitions(*rows), memory, tf.TensorSpec([]))

    # The compiled steps.

    def _store(self, collected: Collected) -> dict[str, tf.Tensor]:
        """Stores a transition; returns the metrics."""
        rows = collected.rows
        numbers = self.replay.count + tf.range(tf.shape(rows.episode_start, tf.int64)[0])
        is_step = rows.episode_start < numbers
        last = self.replay.gather(self.replay.count - 1).observation
        before = tf.concat([last[None], rows.observation[:-1]], axis=0)
        steps = tf.nest.map_structure(lambda x: tf.boolean_mask(x, is_step), (before, rows))
        self.world.statistics.update(*steps)
        self.replay.append(rows)
        self.progress.advance(
            tf.math.count_nonzero(is_step), tf.math.count_nonzero(~is_step), collected.memory
        )
        ended = tf.math.is_finite(collected.episode_return)
        self._game_return.update_state(
            tf.where(ended, collected.episode_return, 0.0), tf.cast(ended, tf.float32)
        )
        return self.get_metrics_result()

    def _train_world(self, collected: Collected) -> dict[str, tf.Tensor]:
        """Stores a transition and updates the world model; returns the metrics."""
        self._store(collected)
        self._update_world(self._sample())
        return self.get_metrics_result()

    def _train_world_and_agent(self, collected: Collected) -> dict[str, tf.Tensor]:
        """Stores a transition and updates the world model and the agent; returns the metrics."""
        self._store(collected)
        sample = self._sample()
        self._update_world(sample)
        self._update_agent(sample)
        return self.get_metrics_result()

    def _sample(self) -> _Sample:
        """Samples windows for an update, a function of the random seed and the update's number."""
        hparams, update = self.hparams, self.world.optimizer.iterations
        seed = tf.random.experimental.stateless_fold_in([hparams.seed, 0], update)
        window_seed, *seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        windows = self.replay.sample_windows(hparams.batch_size, hparams.sequence_size, window_seed)
        first, transitions, _ = windows
        observations = tf.concat([first.observation[:, None], transitions.observation], axis=1)
        outcomes = self.world.outcomes(observations[:, :-1], transitions)
        state = State(first.observation, self.world.core.initial_state(hparams.batch_size))
        return _Sample(*windows, observations, outcomes, state, *seeds)

    def _update_world(self, sample: _Sample) -> None:
        batch = {
            "observed": tuple(sample.outcomes),
            "inputs": sample.transitions.action,
            "lengths": sample.lengths,
            "state": sample.state,
        }
        self.world.train_step(batch)

    def _update_agent(self, sample: _Sample) -> None:
        """Updates the agent on trajectories that start from states of the sampled windows."""
        first, transitions, lengths, observations, outcomes, state, start_seed, seed = sample
        inference, _ = self.world.infer(
            tuple(outcomes), transitions.action, lengths, state=state, seed=start_seed
        )
        states = State(observations, _prepend(state.core, inference.states))
        actions = tf.concat([first.action[:, None], transitions.action], axis=1)
        starts = Start(states, self._memories(self.world.seen(states), actions))
        continues = tf.sequence_mask(lengths, self.hparams.sequence_size) & ~transitions.terminated
        continues = tf.pad(continues, [[0, 0], [1, 0]], constant_values=True)
        start = self._pick(starts, continues, start_seed)
        self.actor_critic.train_step(start, seed, self.progress.steps.value)

    def _memories(self, seen: tf.Tensor, actions: tf.Tensor) -> Memory:
        """Returns the agent's memories before each step of what it sees [B, T, S]."""
        initial = self.agent.initial_memory(tf.shape(seen)[0]).state
        _, after = self.agent.sequence_features(seen, actions, initial)
        before = tf.nest.map_structure(lambda x: x[:, :-1], after)
        return Memory(_prepend(initial, before), actions)

    def _pick(self, starts: Start, allowed: tf.Tensor, seed: tf.Tensor) -> Start:
        """Picks random states out of [B, T, ...] where `allowed` [B, T] is true."""
        places = tf.where(allowed)
        index = tf.random.stateless_uniform(
            [self.hparams.imagined_games], seed, 0, tf.shape(places)[0], tf.int32
        )
        places = tf.gather(places, index)
        return tf.nest.map_structure(lambda x: tf.gather_nd(x, places), starts)


def _prepend(first: StateNest, sequence: StateNest) -> StateNest:
    """Prepends a nest of [B, ...] to one of [B, T, ...]."""
    return tf.nest.map_structure(lambda x, xs: tf.concat([x[:, None], xs], axis=1), first, sequence)
