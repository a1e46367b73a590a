"""The player: a world model that learns from replayed games, an agent that learns inside it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq.examples.play import imagination
from vaeseq.examples.play.agent import Agent, Memory
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.imagination import Dream, Start
from vaeseq.examples.play.replay import Replay, Rows, zeros
from vaeseq.examples.play.world import World
from vaeseq.model.base import State
from vaeseq.nn import finite

_RANGE = (5.0, 95.0)  # percentiles of the returns, whose distance is their scale
_RANGE_RATE = 0.01
_FIRST_MOVES = 100  # before anything is learned
_CLIP = 100.0  # the norm of the agent's gradients


class Turn(NamedTuple):
    """What happened in the real game since the step before."""

    rows: Rows  # [1, ...] the move; or [2, ...] the first observation of a game, and the move
    memory: Memory  # of the agent, after the move
    score: Any  # [] of the whole game, where it has ended; NaN elsewhere


class Place:
    """Where the player stands in the real game: variables that are no weights.

    Args:
      memory: of the agent, before it has seen anything.
    """

    def __init__(self, memory: Memory):
        self.moves, self.games = zeros(dtype="int64"), zeros(dtype="int64")  # made, and begun
        self.memory = tf.nest.map_structure(lambda x: zeros(*x.shape), memory)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that must survive."""
        return [self.moves, self.games, *tf.nest.flatten(self.memory)]

    def move(self, moves: tf.Tensor, games: tf.Tensor, memory: Memory) -> None:
        """So many moves and games further, with this memory."""
        self.moves.assign_add(moves)
        self.games.assign_add(games)
        for variable, value in zip(*map(tf.nest.flatten, (self.memory, memory)), strict=True):
            variable.assign(value)


class Player(keras.Model):
    """Learns a game from its own moves in it. A training step is one move in the real game.

    Args:
      hparams: the hyperparameters.
      observation_size: X.
      action_size: A.
      discrete: whether actions are a choice, or numbers.
    """

    def __init__(
        self, hparams: PlayHParams, observation_size: int, action_size: int, discrete: bool
    ):
        super().__init__(name="player")
        self.hparams = hparams
        self.pathwise = hparams.pathwise(discrete)
        self.world = World(hparams, observation_size, action_size)
        self.agent = Agent(hparams, observation_size, action_size, discrete)
        self.replay = Replay(hparams.replay_steps, observation_size, action_size)
        self.place = Place(self.agent.initial_memory(1))
        names = ("game_return", "imagined_return", "entropy", "critic_loss")
        self._means = {name: keras.metrics.Mean(name) for name in names}
        self.built = True

    # What `vaeseq.train` needs.

    train_function: Any
    next_turn: Callable[[], Turn]  # makes a move in the real game

    def compile(self, **kwargs: Any) -> None:
        """With the optimizers of the hyperparameters."""
        self.world.compile()
        self.agent_optimizer = keras.optimizers.Adam(
            self.hparams.agent_learning_rate,
            beta_2=self.hparams.adam_beta_2,
            global_clipnorm=_CLIP,
        )
        self.agent_optimizer.build(self.agent.trainable_variables)
        super().compile(self.world.optimizer, **kwargs)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that takes memory: the replay, too, which is no weight of the model."""
        return [*super().variables, *self.replay.variables]

    @property
    def trained_steps(self) -> int:
        """How many moves have been made in the real game."""
        return int(self.place.moves.numpy())

    @property
    def training_state(self) -> dict[str, list[Any]]:
        """The optimizers, the replay, and where in the game the player stands."""
        return {
            "optimizer": [*self.world.optimizer.variables, *self.agent_optimizer.variables],
            "metrics": [x for metric in self.metrics for x in metric.variables],
            "replay": self.replay.variables,
            "place": self.place.variables,
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Those of the world model in nats, and means of the agent.

        game_return: of the real games that have ended; imagined_return: of the states that games
        are imagined from, discounted; entropy: of the policy, in nats; critic_loss: half the
        square of the critic's error, in units of the returns' scale.
        """
        return [*self.world.metrics, *self._means.values()]

    def make_train_function(self, force: bool = False) -> None:
        """A step: a move in the real game, and an update where one is due.

        What the move was and all that is learned after it enter the variables by one call, so
        together or not at all, however the process ends.
        """
        if self.train_function is not None and not force:
            return

        @functools.cache
        def step(world: bool, agent: bool) -> Any:
            def step(turn: Turn) -> Any:
                return self._step(turn, world, agent)

            return tf.function(step, [self._turn_spec], autograph=False)

        def train_function(iterator: Any) -> Any:
            next(iterator)
            return step(*self._due(self.trained_steps + 1))(self.next_turn())

        self.train_function = finite.raise_stopped_if_not_finite(train_function)

    @property
    def _turn_spec(self) -> Turn:
        row = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in self.replay.rows]
        memory = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), self.place.memory)
        return Turn(Rows(*row), memory, tf.TensorSpec([]))

    def _due(self, number: int) -> tuple[bool, bool]:
        """Whether the world model learns after this move, and whether the agent does.

        While the first games are random, the world model learns at every move: an agent in a world
        that knows nothing yet would only learn its mistakes.
        """
        if number <= self.hparams.random_steps:
            return number > _FIRST_MOVES, False
        due = number % self.hparams.update_every == 0
        return due, due

    # Acting.

    @functools.cached_property
    def act(self) -> Any:
        """Observations [B, X], memory and seed to a greedy action and a drawn one, [B, A].

        Also the state of the memory after it; with the action that is made, it is the next memory.
        """

        def act(observation: Any, memory: Memory, seed: Any) -> tuple[Any, Any, Any]:
            seen = self.world.units.normalise(observation)
            features, state = self.agent.remember(seen, memory)
            params = self.agent.act(features)
            drawn = self.agent.actions.sample(params, seed)
            return self.agent.actions.greedy(params), tf.clip_by_value(drawn, -1, 1), state

        return tf.function(act, reduce_retracing=True, autograph=False)

    # Learning.

    def _step(self, turn: Turn, world: bool, agent: bool) -> dict[str, tf.Tensor]:
        rows = Rows(*map(tf.convert_to_tensor, turn.rows))
        numbers = self.replay.count + tf.range(tf.shape(rows.begin, tf.int64)[0])
        moved = rows.begin < numbers
        last = self.replay.read(self.replay.count - 1).observation
        before = tf.concat([last[None], rows.observation[:-1]], axis=0)
        moves = tf.nest.map_structure(lambda x: tf.boolean_mask(x, moved), (before, rows))
        self.world.units.see(*moves)
        self.replay.append(rows)
        self.place.move(tf.math.count_nonzero(moved), tf.math.count_nonzero(~moved), turn.memory)
        ended = tf.math.is_finite(turn.score)
        self._means["game_return"].update_state(
            tf.where(ended, turn.score, 0.0), tf.cast(ended, tf.float32)
        )
        if world:
            self._learn(agent)
        return self.get_metrics_result()

    def _learn(self, agent: bool) -> None:
        """An update of the world model, and one of the agent from where that has looked."""
        update = self.world.optimizer.iterations
        seed = tf.random.experimental.stateless_fold_in([self.hparams.seed, 0], update)
        window_seed, start_seed, dream_seed = tf.unstack(
            tf.random.experimental.stateless_split(seed, 3)
        )
        hparams, world = self.hparams, self.world
        first, moves, lengths = self.replay.windows(
            hparams.batch_size, hparams.sequence_size, window_seed
        )
        observations = tf.concat([first.observation[:, None], moves.observation], axis=1)
        batch = {
            "observed": tuple(world.outcomes(observations[:, :-1], moves)),
            "inputs": moves.action,
            "lengths": lengths,
            "state": State(first.observation, world.core.initial_state(hparams.batch_size)),
        }
        world.train_step(batch)
        if not agent:
            return
        inference, _ = world.infer(**batch, seed=start_seed)
        actions = tf.concat([first.action[:, None], moves.action], axis=1)
        starts = Start(
            State(observations, _with_first(batch["state"].core, inference.states)),
            self._memories(observations, actions),
        )
        # A game goes on from where it is not over.
        alive = tf.sequence_mask(lengths, hparams.sequence_size) & ~moves.terminated
        alive = tf.pad(alive, [[0, 0], [1, 0]], constant_values=True)
        self._learn_in_imagination(self._pick(starts, alive, start_seed), dream_seed)

    def _memories(self, observations: tf.Tensor, actions: tf.Tensor) -> Memory:
        """The memories before each of a sequence of observations [B, T, X]."""
        initial = self.agent.initial_memory(tf.shape(observations)[0]).state
        seen = self.world.units.normalise(observations)
        _, after = self.agent.remember_all(seen, actions, initial)
        before = tf.nest.map_structure(lambda x: x[:, :-1], after)
        return Memory(_with_first(initial, before), actions)

    def _pick(self, starts: Start, alive: tf.Tensor, seed: tf.Tensor) -> Start:
        """Some of the states [B, T, ...] that are alive [B, T], at random."""
        places = tf.where(alive)
        games = self.hparams.imagined_games
        drawn = tf.random.stateless_uniform([games], seed, 0, tf.shape(places)[0], tf.int32)
        places = tf.gather(places, drawn)
        return tf.nest.map_structure(lambda x: tf.gather_nd(x, places), starts)

    def _learn_in_imagination(self, start: Start, seed: tf.Tensor) -> None:
        agent, variables = self.agent, self.agent.trainable_variables
        start = tf.nest.map_structure(tf.stop_gradient, start)
        with tf.GradientTape() as tape:
            dream = imagination.imagine(
                self.world, agent, start, self.hparams.horizon, seed, self.pathwise
            )
            if not self.pathwise:
                dream = Dream(*map(tf.stop_gradient, dream))
            loss = self._agent_loss(dream, start.memory)
        gradients = tape.gradient(loss, variables)
        checks = []
        if self.hparams.check_numerics:
            suspects = {"imagined games": dream, "the agent's loss": loss}
            checks = [finite.checked(loss, suspects, variables, gradients, self.place.moves.value)]
        with tf.control_dependencies(checks):
            self.agent_optimizer.apply_gradients(zip(gradients, variables, strict=True))
            agent.follow(self.hparams.slow_critic_rate)

    def _agent_loss(self, dream: Dream, memory: Memory) -> tf.Tensor:
        """The losses of policy and critic, means over imagined moves that are reached."""
        hparams, agent = self.hparams, self.agent
        made = tf.clip_by_value(dream.actions, -1, 1)
        actions = tf.concat([memory.action[:, None], made], axis=1)

        def features(observations: tf.Tensor) -> tf.Tensor:
            seen = self.world.units.normalise(observations)
            return agent.remember_all(seen, actions, memory.state)[0]

        discounts = hparams.discount * dream.continues
        values = agent.value(features(dream.observations), slow=True)
        returns = imagination.lambda_returns(
            dream.rewards, discounts, values, hparams.return_lambda
        )
        weights = tf.stop_gradient(imagination.weights(discounts))
        constant = tf.stop_gradient(returns)
        scale = self._scale(constant)

        seen = features(tf.stop_gradient(dream.observations))[:, :-1]
        policy = agent.actions.dist(agent.act(seen))
        error = (agent.value(seen) - constant) / scale
        if self.pathwise:
            gain = returns / scale
        else:
            advantage = tf.stop_gradient(_standardised(-error, weights))
            gain = policy.log_prob(tf.stop_gradient(dream.actions)) * advantage
        entropy = policy.entropy()
        policy_loss = -tf.reduce_mean(weights * (gain + hparams.entropy_bonus * entropy))
        critic_loss = tf.reduce_mean(weights * error**2) / 2
        self._means["imagined_return"].update_state(constant[:, 0] * self.world.units.reward)
        self._means["entropy"].update_state(entropy)
        self._means["critic_loss"].update_state(critic_loss)
        return policy_loss + critic_loss

    def _scale(self, returns: tf.Tensor) -> tf.Tensor:
        """The running range of returns, at least 1: what is smaller is noise."""
        low, high = tf.unstack(tfp.stats.percentile(returns, _RANGE))
        variable = self.agent.return_scale
        rate = tf.where(variable > 0, _RANGE_RATE, 1.0)
        variable.assign_add(rate * (high - low - variable))
        return tf.maximum(1.0, tf.convert_to_tensor(variable))


def _standardised(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Less its weighted mean, by its weighted deviation."""
    total = tf.reduce_sum(weights)
    x -= tf.reduce_sum(weights * x) / total
    return x / (1e-3 + tf.sqrt(tf.reduce_sum(weights * x**2) / total))


def _with_first(first: Any, sequence: Any) -> Any:
    """Nests of [B, ...] and [B, T, ...] to one of [B, T + 1, ...]."""
    return tf.nest.map_structure(lambda x, xs: tf.concat([x[:, None], xs], axis=1), first, sequence)
