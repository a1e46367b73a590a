"""The world model: predicts the outcome of an action.

    x_t = (change of the observation, reward, whether the episode continues)
    c_t = (action a_{t-1}, observation o_{t-1}),    o_t = o_{t-1} + change

So x_1 is the outcome of the first action, and o_1 follows from it; see the table in `replay`.
Observations, changes and rewards are normalised; see `Statistics`.

An agent sees o_t, or what the core makes of x_1:t, d_t and z_t: in imagination those of the core
that generates, in an episode those of the posterior that filters; see `World.believe`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq import Context, DistModule, ModelBase, codec
from vaeseq.errors import UsageError
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.replay import Transitions
from vaeseq.model.wiring import State
from vaeseq.nn.sequences import last
from vaeseq.nn.types import Nest, Size

# Lower bound of the predicted standard deviations. With a smaller one the densities of values that
# never vary dominate the loss, and the model does not learn when episodes end.
_MIN_SCALE = 0.3


class Outcome(NamedTuple):
    """x_t, normalised."""

    change: tf.Tensor  # [X]
    reward: tf.Tensor  # []
    continues: tf.Tensor  # []: 1, or 0 if the episode terminated; 1 if it was truncated


class Statistics(keras.layers.Layer):
    """Running statistics of all transitions, by which observations and rewards are normalised."""

    def __init__(self, observation_size: int, name: str | None = None):
        super().__init__(name=name)
        vector = (observation_size,)
        # Checkpoints contain these names.
        shapes = {"moves": (), "seen": vector, "seen_squared": vector, "change_squared": vector}
        shapes["reward_squared"] = ()
        self.sums = tuple(
            self.add_weight(shape, "zeros", "float64", trainable=False, name=name)
            for name, shape in shapes.items()
        )
        self.built = True

    def update(self, before: tf.Tensor, transitions: Transitions) -> tf.Operation:
        """Adds transitions [N, ...], given the observations `before` them [N, X]."""
        after = tf.cast(transitions.observation, tf.float64)
        reward = tf.cast(transitions.reward, tf.float64)
        change = after - tf.cast(before, tf.float64)
        new = (tf.ones_like(reward), after, after**2, change**2, reward**2)
        pairs = zip(self.sums, new, strict=True)
        return tf.group([total.assign_add(tf.reduce_sum(x, axis=0)) for total, x in pairs])

    @property
    def loc(self) -> tf.Tensor:
        """The mean of the observations, [X]."""
        return tf.cast(self._mean(1), tf.float32)

    @property
    def scale(self) -> tf.Tensor:
        """The standard deviation of the observations, [X]."""
        return _root(self._mean(2) - self._mean(1) ** 2)

    @property
    def change_scale(self) -> tf.Tensor:
        """The root mean square of the changes of the observation, [X]."""
        return _root(self._mean(3))

    @property
    def reward_scale(self) -> tf.Tensor:
        """The root mean square of the rewards, []."""
        return _root(self._mean(4))

    def normalise(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns observations [..., X] with mean 0 and standard deviation 1."""
        return (observation - self.loc) / self.scale

    def _mean(self, index: int) -> tf.Tensor:
        total, count = (tf.convert_to_tensor(self.sums[i]) for i in (index, 0))
        return total / tf.maximum(count, 1.0)


def _root(square: tf.Tensor) -> tf.Tensor:
    """Returns the square root; 1 for what is constant, which is then left as it is."""
    root = tf.cast(tf.sqrt(tf.maximum(square, 0.0)), tf.float32)
    return tf.where(root > 1e-6, root, 1.0)


class ActionAndObservation(Context):
    """The context (a_{t-1}, o_{t-1}); its state is o_{t-1} before normalisation."""

    def __init__(self, statistics: Statistics, name: str | None = None):
        super().__init__(name=name)
        self.statistics = statistics

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns zeros [B, X], to be replaced by the first observation of an episode."""
        return tf.zeros([batch_size, self.statistics.loc.shape[0]])

    def call(self, inputs: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the action and the normalised observation before it."""
        return inputs, self.statistics.normalise(state)

    def observe(self, observed: Nest, state: tf.Tensor) -> tf.Tensor:
        """Returns o_t = o_{t-1} + change; `observed` is an `Outcome`."""
        return state + self._change(observed)

    def from_observations(
        self, observed: Nest, inputs: tf.Tensor, state: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Computes all o_t by a cumulative sum."""
        after = state[:, None] + tf.cumsum(self._change(observed), axis=1)
        before = tf.concat([state[:, None], after[:, :-1]], axis=1)
        return (inputs, self.statistics.normalise(before)), after

    def _change(self, observed: Nest) -> tf.Tensor:
        change, *_ = tf.nest.flatten(observed)
        return change * self.statistics.change_scale


class World(ModelBase):
    """A model of an environment: its inputs are actions, its observations are outcomes.

    Args:
      hparams: the hyperparameters.
      observation_size: X.
      action_size: A.

    Attributes:
      seen_size: S, the number of features that the agent sees.

    Raises:
      UsageError: if the agent is to see the state of a core whose posterior does not filter.
    """

    hparams: PlayHParams

    def __init__(self, hparams: PlayHParams, observation_size: int, action_size: int):
        self.observation_size, self.action_size = observation_size, action_size
        super().__init__(hparams, inputs_spec=tf.TensorSpec([action_size]), name="world")
        self._sees_state = hparams.agent_sees == "state"
        if self._sees_state and self.core.latent_size and not self.core.filters:
            raise UsageError(
                "hparams: agent_sees=state needs the state of the world model while an episode "
                f"goes on, but the posterior of {hparams.vae_type} needs the whole episode; use "
                "vae_type=VRNN or vae_type=RNN, or agent_sees=observation"
            )
        self.seen_size = int(self.seen(self.initial_state(1)).shape[-1])

    def make_encoder(self) -> keras.layers.Layer:
        """Returns an MLP, or no weights for a core without latents, which encodes no outcomes."""
        if self.hparams.vae_type == "RNN":
            return codec.Flatten()
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self) -> DistModule:
        """Returns Normals for change and reward and a Bernoulli for `continues`."""
        outcome = codec.JointDecoder(
            [
                codec.NormalDecoder([self.observation_size], least_scale=_MIN_SCALE),
                codec.NormalDecoder([], least_scale=_MIN_SCALE),
                codec.BernoulliDecoder([], dtype="float32"),
            ]
        )
        return codec.MLPObsDecoder(self.hparams, outcome)

    def make_context(self) -> Context:
        """Returns the context of action and last observation."""
        self.statistics = Statistics(self.observation_size)
        return ActionAndObservation(self.statistics)

    def outcomes(self, before: tf.Tensor, transitions: Transitions) -> Outcome:
        """Returns the outcomes of transitions, given the observations `before` them [..., X]."""
        return Outcome(
            (transitions.observation - before) / self.statistics.change_scale,
            transitions.reward / self.statistics.reward_scale,
            tf.cast(~transitions.terminated, tf.float32),
        )

    def seen(self, states: State) -> tf.Tensor:
        """Returns what the agent sees of states [..., ...], a tensor [..., S]."""
        if self._sees_state:
            return self.core.state_features(states.core)
        return self.statistics.normalise(states.context)

    def initial_belief(self, batch_size: Size) -> Any:
        """Returns what is believed at the start of an episode, [B, ...]; () if it is not seen."""
        return self.core.initial_state(batch_size) if self._sees_state else ()

    def believe(self, belief: Any, before: tf.Tensor, transitions: Transitions) -> Any:
        """Updates the belief about episodes by one step: the state of the core that filters.

        z_t is the mode of its posterior, so that a greedy agent has no randomness.

        Args:
          belief: the state of the core before the step, [B, ...].
          before: the observations before the step, [B, X].
          transitions: the step, [B, ...].

        Returns:
          The state of the core after the step.
        """
        if not self._sees_state:
            return belief
        outcome = tuple(self.outcomes(before, transitions))
        observed = tf.nest.map_structure(lambda x: x[:, None], outcome)
        given = self.condition(observed, transitions.action[:, None], None, before)
        noise = tf.zeros([tf.shape(before)[0], 1, self.core.latent_size])  # gives the mode
        return last(self.core.unroll(given.contexts, belief, noise, given.evidence)[1])
