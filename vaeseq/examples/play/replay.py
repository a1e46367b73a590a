"""The replay: the newest real games, move after move, as variables of the training.

A row is what was seen and how it came about. A game of three moves is four rows:

    row                  r     r + 1        r + 2        r + 3
    observation          o_0   o_1          o_2          o_3
    action that led to   -     a_0          a_1          a_2
    reward that came     -     r_1          r_2          r_3
    terminated           no    no           no           yes, unless it was broken off
    begin                r     r            r            r

so the moves are the rows that are not their own `begin`.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Rows(NamedTuple):
    """Some rows, [N, ...] or [B, T, ...]."""

    observation: Any  # float [X]
    action: Any  # float [A]
    reward: Any  # float []
    terminated: Any  # bool []
    truncated: Any  # bool []
    begin: Any  # int64 []: the number of the row with which its game began


class Windows(NamedTuple):
    """Parts of games: what was seen first [B, ...], the moves from there, and how many count."""

    first: Rows  # [B, ...]
    moves: Rows  # [B, T, ...]
    lengths: tf.Tensor  # [B]


class Replay:
    """The newest `capacity` rows.

    Args:
      capacity: how many.
      observation_size: X.
      action_size: A.
    """

    def __init__(self, capacity: int, observation_size: int, action_size: int):
        self.capacity = capacity
        self.rows = Rows(
            zeros(capacity, observation_size),
            zeros(capacity, action_size),
            zeros(capacity),
            zeros(capacity, dtype="bool"),
            zeros(capacity, dtype="bool"),
            zeros(capacity, dtype="int64"),
        )
        self.count = zeros(dtype="int64")  # rows ever written

    @property
    def variables(self) -> list[keras.Variable]:
        """All that must survive."""
        return [*self.rows, self.count]

    def append(self, rows: Rows) -> tf.Operation:
        """Writes rows [N, ...] over the oldest."""
        at = (self.count + tf.range(_num_rows(rows.begin))) % self.capacity
        writes = [
            variable.value.scatter_update(tf.IndexedSlices(tf.cast(new, variable.dtype), at))
            for variable, new in zip(self.rows, rows, strict=True)
        ]
        with tf.control_dependencies(writes):
            return self.count.assign_add(_num_rows(rows.begin))

    def read(self, numbers: tf.Tensor) -> Rows:
        """The rows of these numbers, int64 of any shape."""
        at = numbers % self.capacity
        return Rows(*(tf.gather(variable, at) for variable in self.rows))

    def windows(self, batch: int, time: int, seed: tf.Tensor) -> Windows:
        """Parts of games at random: every move is as probable to be the one that is drawn.

        It stands anywhere in its window, which begins with the game at the earliest.
        """
        oldest = tf.maximum(self.count - self.capacity, 0)
        numbers = tf.range(oldest, self.count)
        begins = self.read(numbers).begin
        moves = tf.boolean_mask(numbers, (begins < numbers) & (numbers > oldest))
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed))
        draw = tf.random.stateless_uniform([batch], seeds[0], 0, _num_rows(moves), tf.int64)
        drawn = tf.gather(moves, draw)
        before = 1 + tf.random.stateless_uniform([batch], seeds[1], 0, time, tf.int64)
        earliest = tf.maximum(self.read(drawn).begin, oldest)
        first = tf.maximum(drawn - before, earliest)
        inside = first[:, None] + tf.range(1, time + 1, dtype=tf.int64)
        moves = self.read(tf.minimum(inside, self.count - 1))
        same = (moves.begin == self.read(first).begin[:, None]) & (inside < self.count)
        lengths = tf.reduce_sum(tf.cast(same, tf.int32), axis=1)
        return Windows(self.read(first), moves, lengths)


def zeros(*shape: int, dtype: str = "float32") -> keras.Variable:
    """A variable that is not trained."""
    return keras.Variable("zeros", shape, dtype, trainable=False)


def _num_rows(x: tf.Tensor) -> tf.Tensor:
    return tf.shape(x, tf.int64)[0]
