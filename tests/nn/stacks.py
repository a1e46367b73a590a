"""Stacks of recurrent layers with random inputs, and what tests compare them with."""

import keras
import tensorflow as tf

from tests.conftest import SMALL
from vaeseq.nn.recurrence import make_stack
from vaeseq.nn.sequences import scan


def make(rnn_cell, batch, steps, features, sizes, seed=0):
    """Returns a stack of at most two layers, inputs [B, T, X] and a state."""
    keras.utils.set_random_seed(seed)
    rnn = make_stack(SMALL.replace(rnn_cell=rnn_cell, rnn_hidden_sizes=tuple(sizes[:2])))
    inputs = tf.random.normal([batch, steps, features])
    return rnn, inputs, rnn.state_from(tf.random.normal([batch, rnn.state_size]))


def stepwise(rnn, inputs, state):
    """Returns what `rnn.unroll` does, by `rnn.step`."""

    def step(x, state):
        output, state = rnn.step(x, state)
        return (output, state), state

    return scan(step, inputs, state)[0]


def weighted_sum(nest):
    """Returns the sum of all entries, each with its own weight."""
    return tf.add_n(
        [
            tf.reduce_sum(x * tf.random.stateless_normal(tf.shape(x), [0, index], dtype=x.dtype))
            for index, x in enumerate(tf.nest.flatten(nest))
        ]
    )
