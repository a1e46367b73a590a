"""The recurrent stack and the fold over time."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SMALL, assert_close
from vaeseq.nn.lstm import RNN
from vaeseq.nn.sequences import last, scan

shapes = st.tuples(
    st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.lists(st.integers(1, 6), min_size=1)
)


def make(batch, steps, features, sizes, seed=0):
    keras.utils.set_random_seed(seed)
    rnn = RNN(SMALL.replace(rnn_hidden_sizes=tuple(sizes[:2])))
    inputs = tf.random.normal([batch, steps, features])
    state = tf.nest.map_structure(lambda x: tf.random.normal(x.shape), rnn.initial_state(batch))
    return rnn, inputs, state


def stepwise(rnn, inputs, state):
    def step(x, state):
        output, state = rnn.step(x, state)
        return (output, state), state

    return scan(step, inputs, state)[0]


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_unroll_is_steps(shape):
    rnn, inputs, state = make(*shape)
    assert_close(rnn.unroll(inputs, state), stepwise(rnn, inputs, state))


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_the_gradient_is_the_automatic_one(shape):
    rnn, inputs, state = make(*shape)
    rnn.unroll(inputs, state)
    given = [inputs, *tf.nest.flatten(state)]
    gradients = []
    for run in (rnn.unroll, lambda *args: stepwise(rnn, *args)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            # Every output and every state of every step has a say, each of its own weight.
            loss = tf.add_n(
                [
                    tf.reduce_sum(x * tf.random.stateless_normal(tf.shape(x), [0, index]))
                    for index, x in enumerate(tf.nest.flatten(run(inputs, state)))
                ]
            )
        gradients.append(tape.gradient(loss, given + rnn.trainable_variables))
    assert_close(*gradients, 1e-4)


def test_the_step_is_an_lstm_of_keras():
    rnn, inputs, _ = make(3, 5, 4, [6])
    outputs, _ = rnn.unroll(inputs, rnn.initial_state(3))
    (ours,) = rnn.layers
    theirs = keras.layers.LSTM(6, return_sequences=True)
    theirs.build(inputs.shape)
    i_f_g_o = [0, 1, 3, 2]  # the order of Keras; ours is i, f, o, g
    parts = (np.split(weight, 4, axis=-1) for weight in ours.get_weights())
    theirs.set_weights([np.concatenate([part[k] for k in i_f_g_o], -1) for part in parts])
    assert_close(outputs, theirs(inputs))


def test_unroll_backward_starts_at_each_rows_end():
    rnn, inputs, _ = make(3, 5, 4, [6])
    outputs = rnn.unroll_backward(inputs, tf.constant([5, 2, 1]))
    forward, _ = rnn.unroll(inputs[1:2, 1::-1], rnn.initial_state(1))
    assert_close(outputs[1:2, :2], forward[:, ::-1])
    assert_close(rnn.unroll_backward(inputs)[:1], outputs[:1])


def test_scan_keeps_structure_dtypes_and_none():
    def step(inputs, state):
        (x, nothing), n = inputs, state
        assert nothing is None
        return {"sum": x + tf.cast(n, x.dtype)}, n + 1

    outputs, state = scan(step, (tf.zeros([2, 3]), None), tf.constant(10))
    assert_close(outputs, {"sum": tf.constant([[10.0, 11, 12]] * 2)})
    assert int(state) == 13


@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_last(lengths):
    states = tf.reshape(tf.range(6), [2, 3])
    expected = [2, 5] if lengths is None else [2, 3]
    assert last(states, lengths and tf.constant(lengths)).numpy().tolist() == expected
