"""The world model: what the next move brings.

    x_t = (change of the observation, reward, whether the game continues)
    c_t = (action a_{t-1}, observation o_{t-1}),    o_t = o_{t-1} + change

so with the outcome x_1 of the first action, o_1 stands after it: see the table in `replay`.
Observations, changes and rewards are in units of their own deviations, see `Units`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq import Context, DistModule, ModelBase, codec
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.replay import Rows

# Of what the model is sure of: with a smaller one, Normals of what never varies outweigh whether
# the game continues, which is then not learned.
_LEAST_DEVIATION = 0.3


class Outcome(NamedTuple):
    """x_t, in units."""

    change: tf.Tensor  # [X]
    reward: tf.Tensor  # []
    continues: tf.Tensor  # [] 0 or 1; 1 where a game was only broken off


class Units(keras.layers.Layer):
    """Mean and deviation of observations, deviation of changes, size of rewards, of all moves."""

    def __init__(self, observation_size: int, name: str | None = None):
        super().__init__(name=name)
        vector = (observation_size,)
        shapes = {"moves": (), "seen": vector, "seen_squared": vector, "change_squared": vector}
        shapes["reward_squared"] = ()
        self.sums = tuple(
            self.add_weight(shape, "zeros", "float64", trainable=False, name=name)
            for name, shape in shapes.items()
        )
        self.built = True

    def see(self, before: tf.Tensor, rows: Rows) -> tf.Operation:
        """Adds moves: the observations before them [N, X], and their rows."""
        after, reward = (tf.cast(x, tf.float64) for x in (rows.observation, rows.reward))
        change = after - tf.cast(before, tf.float64)
        new = (tf.ones_like(reward), after, after**2, change**2, reward**2)
        pairs = zip(self.sums, new, strict=True)
        return tf.group([total.assign_add(tf.reduce_sum(x, axis=0)) for total, x in pairs])

    @property
    def loc(self) -> tf.Tensor:
        """Of observations, [X]."""
        return tf.cast(self._mean(1), tf.float32)

    @property
    def scale(self) -> tf.Tensor:
        """Of observations, [X]."""
        return _root(self._mean(2) - self._mean(1) ** 2)

    @property
    def change(self) -> tf.Tensor:
        """Of their changes, [X]."""
        return _root(self._mean(3))

    @property
    def reward(self) -> tf.Tensor:
        """Of rewards, []."""
        return _root(self._mean(4))

    def normalise(self, observation: tf.Tensor) -> tf.Tensor:
        """Observations [..., X] in units."""
        return (observation - self.loc) / self.scale

    def _mean(self, index: int) -> tf.Tensor:
        return tf.convert_to_tensor(self.sums[index]) / tf.maximum(
            tf.convert_to_tensor(self.sums[0]), 1.0
        )


def _root(square: tf.Tensor) -> tf.Tensor:
    """The deviation; 1 where nothing changes."""
    root = tf.cast(tf.sqrt(tf.maximum(square, 0.0)), tf.float32)
    return tf.where(root > 1e-6, root, 1.0)


class Seen(Context):
    """The action, and what is seen before it; the state is o_{t-1} as the game shows it."""

    def __init__(self, units: Units, name: str | None = None):
        super().__init__(name=name)
        self.units = units

    def initial_state(self, batch_size: Any) -> tf.Tensor:
        """Zeros [B, X]; a game's own first observation is to take their place."""
        return tf.zeros([batch_size, self.units.loc.shape[0]])

    def call(self, inputs: Any, state: tf.Tensor) -> Any:
        """a_{t-1} and o_{t-1}, in units."""
        return inputs, self.units.normalise(state)

    def observe(self, observed: Any, state: tf.Tensor) -> tf.Tensor:
        """o_t = o_{t-1} + change."""
        return state + observed[0] * self.units.change

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """All o_t at once."""
        after = state[:, None] + tf.cumsum(observed[0] * self.units.change, axis=1)
        before = tf.concat([state[:, None], after[:, :-1]], axis=1)
        return (inputs, self.units.normalise(before)), after


class World(ModelBase):
    """A model of a game: its inputs are the actions, its observations the outcomes.

    Args:
      hparams: the hyperparameters.
      observation_size: X.
      action_size: A.
    """

    hparams: PlayHParams

    def __init__(self, hparams: PlayHParams, observation_size: int, action_size: int):
        self.observation_size, self.action_size = observation_size, action_size
        super().__init__(hparams, inputs_spec=tf.TensorSpec([action_size]), name="world")

    def make_encoder(self) -> keras.layers.Layer:
        """Outcomes, through an MLP; as they are for a core that infers nothing of them."""
        if self.hparams.vae_type == "RNN":
            return codec.Flatten()
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self) -> DistModule:
        """Normal changes and rewards, and whether the game continues."""
        outcome = codec.JointDecoder(
            [
                codec.NormalDecoder([self.observation_size], least_scale=_LEAST_DEVIATION),
                codec.NormalDecoder([], least_scale=_LEAST_DEVIATION),
                codec.BernoulliDecoder([], dtype="float32"),
            ]
        )
        return codec.MLPObsDecoder(self.hparams, outcome)

    def make_context(self) -> Context:
        """The action and the observation before."""
        self.units = Units(self.observation_size)
        return Seen(self.units)

    def outcomes(self, before: tf.Tensor, rows: Rows) -> Outcome:
        """What moves have brought, given the observations before them [..., X]."""
        return Outcome(
            (rows.observation - before) / self.units.change,
            rows.reward / self.units.reward,
            tf.cast(~rows.terminated, tf.float32),
        )
