"""The LSTM layer, held to that of Keras."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import assert_close
from tests.nn.stacks import make, stepwise, weighted_sum


@pytest.mark.parametrize("run", ["unroll", "step"])
def test_outputs_states_and_gradients_are_those_of_the_keras_layer_with_the_same_weights(run):
    rnn, inputs, state = make("lstm", 3, 5, 4, [6])
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
