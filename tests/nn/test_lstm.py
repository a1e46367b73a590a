"""The stack of LSTM layers, and the scan over time."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SMALL, assert_close
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.sequences import last, scan

shapes = st.tuples(
    st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.lists(st.integers(1, 6), min_size=1)
)


def make(batch, steps, features, sizes, seed=0):
    keras.utils.set_random_seed(seed)
    rnn = LSTMStack(SMALL.replace(rnn_hidden_sizes=tuple(sizes[:2])))
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
def test_unroll_equals_repeated_steps(shape):
    rnn, inputs, state = make(*shape)
    assert_close(rnn.unroll(inputs, state), stepwise(rnn, inputs, state))


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_the_custom_gradient_equals_the_automatic_one(shape):
    rnn, inputs, state = make(*shape)
    rnn.unroll(inputs, state)
    given = [inputs, *tf.nest.flatten(state)]
    gradients = []
    for run in (rnn.unroll, functools.partial(stepwise, rnn)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = weighted_sum(run(inputs, state))
        gradients.append(tape.gradient(loss, given + rnn.trainable_variables))
    assert_close(*gradients, 1e-4)


@pytest.mark.parametrize("run", ["unroll", "step"])
def test_outputs_states_and_gradients_are_those_of_the_keras_layer_with_the_same_weights(run):
    rnn, inputs, state = make(3, 5, 4, [6])
    theirs = keras.layers.LSTM(6, return_sequences=True, return_state=True)
    theirs.build(inputs.shape)
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.normal(size=x.shape) for x in theirs.weights])
    rnn.unroll(inputs, state)
    (ours,) = rnn.layers
    ours.set_weights(theirs.get_weights())

    def run_ours():
        sequence = rnn.unroll if run == "unroll" else functools.partial(stepwise, rnn)
        outputs, (states,) = sequence(inputs, state)
        return outputs, *(x[:, -1] for x in states)

    def run_theirs():
        return tuple(theirs(inputs, initial_state=list(state[0])))

    assert_close(
        outputs_and_gradients(run_ours, inputs, ours),
        outputs_and_gradients(run_theirs, inputs, theirs),
    )


def outputs_and_gradients(run, inputs, layer):
    """Returns outputs, and gradients of a weighted sum of them for the inputs and the weights."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = run()
        loss = weighted_sum(outputs)
    return outputs, tuple(tape.gradient(loss, [inputs, *layer.weights]))


def weighted_sum(nest):
    """Returns the sum of all entries, each with its own weight."""
    return tf.add_n(
        [
            tf.reduce_sum(x * tf.random.stateless_normal(tf.shape(x), [0, index]))
            for index, x in enumerate(tf.nest.flatten(nest))
        ]
    )


def test_unroll_backward_starts_each_row_at_its_own_end():
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
def test_last_returns_the_last_state_of_each_row(lengths):
    states = tf.reshape(tf.range(6), [2, 3])
    expected = [2, 5] if lengths is None else [2, 3]
    assert last(states, lengths and tf.constant(lengths)).numpy().tolist() == expected
