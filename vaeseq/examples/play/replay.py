"""The replay buffer: the newest transitions, stored as variables so that checkpoints keep them.

A row holds an observation and how it was reached. An episode of three steps takes four rows:

    row                  r     r + 1        r + 2        r + 3
    observation          o_0   o_1          o_2          o_3
    action               -     a_0          a_1          a_2
    reward               -     r_1          r_2          r_3
    terminated           no    no           no           yes, unless truncated
    episode_start        r     r            r            r

Hence the transitions are the rows that differ from their own `episode_start`.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vaeseq.nn.types import Tensor


class Transitions(NamedTuple):
    """Rows of the replay buffer, [N, ...] or [B, T, ...]."""

    observation: Tensor  # float [X]
    action: Tensor  # float [A]: the action that led to the observation
    reward: Tensor  # float []
    terminated: Tensor  # bool []
    truncated: Tensor  # bool []
    episode_start: Tensor  # int64 []: the row number of the episode's first observation


TRANSITION_DTYPES = Transitions(np.float32, np.float32, np.float32, np.bool_, np.bool_, np.int64)


class Windows(NamedTuple):
    """Parts of episodes: an initial row, the transitions after it, and their number."""

    first: Transitions  # [B, ...]
    transitions: Transitions  # [B, T, ...]
    lengths: tf.Tensor  # int32 [B]


class Replay:
    """A ring buffer of the newest `capacity` rows.

    Args:
      capacity: the number of rows.
      observation_size: X.
      action_size: A.
    """

    def __init__(self, capacity: int, observation_size: int, action_size: int):
        self.capacity = capacity
        self.rows: tuple[keras.Variable, ...] = (  # the fields of `Transitions`
            untrained_variable(capacity, observation_size),
            untrained_variable(capacity, action_size),
            untrained_variable(capacity),
            untrained_variable(capacity, dtype="bool"),
            untrained_variable(capacity, dtype="bool"),
            untrained_variable(capacity, dtype="int64"),
        )
        self.count = untrained_variable(dtype="int64")  # rows ever appended

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that a checkpoint must keep."""
        return [*self.rows, self.count]

    def append(self, rows: Transitions) -> tf.Operation:
        """Overwrites the oldest rows with `rows` [N, ...]."""
        at = (self.count + tf.range(_num_rows(rows.episode_start))) % self.capacity
        writes = [
            variable.value.scatter_update(tf.IndexedSlices(tf.cast(new, variable.dtype), at))
            for variable, new in zip(self.rows, rows, strict=True)
        ]
        with tf.control_dependencies(writes):
            return self.count.assign_add(_num_rows(rows.episode_start))

    def gather(self, numbers: tf.Tensor) -> Transitions:
        """Returns the rows with the given numbers, int64 of any shape."""
        at = numbers % self.capacity
        return Transitions(*(tf.gather(variable, at) for variable in self.rows))

    def sample_windows(self, batch_size: int, window_size: int, seed: tf.Tensor) -> Windows:
        """Samples parts of episodes, each around a transition drawn uniformly.

        The drawn transition has a uniformly random position in its window; a window does not
        begin before its episode.
        """
        oldest = tf.maximum(self.count - self.capacity, 0)
        numbers = tf.range(oldest, self.count)
        starts = self.gather(numbers).episode_start
        candidates = tf.boolean_mask(numbers, (starts < numbers) & (numbers > oldest))
        row_seed, position_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        index = tf.random.stateless_uniform(
            [batch_size], row_seed, 0, _num_rows(candidates), tf.int64
        )
        row = tf.gather(candidates, index)
        position = tf.random.stateless_uniform(
            [batch_size], position_seed, 0, window_size, tf.int64
        )
        first = tf.maximum(row - 1 - position, tf.maximum(self.gather(row).episode_start, oldest))
        return self._windows(first, window_size)

    def _windows(self, first: tf.Tensor, window_size: int) -> Windows:
        """Returns the windows that begin with the rows `first` [B]."""
        numbers = first[:, None] + tf.range(1, window_size + 1, dtype=tf.int64)
        before = self.gather(first)
        after = self.gather(tf.minimum(numbers, self.count - 1))
        same_episode = after.episode_start == before.episode_start[:, None]
        inside = same_episode & (numbers < self.count)
        return Windows(before, after, tf.reduce_sum(tf.cast(inside, tf.int32), axis=1))


def untrained_variable(*shape: int, dtype: str = "float32") -> keras.Variable:
    """Returns a variable of zeros that no optimizer updates."""
    return keras.Variable("zeros", shape, dtype, trainable=False)


def _num_rows(x: tf.Tensor) -> tf.Tensor:
    return tf.shape(x, tf.int64)[0]
