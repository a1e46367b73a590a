"""The minGRU layers, held to their equations."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import assert_close
from tests.nn.stacks import make, weighted_sum


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rms_norm(x):
    return x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6)


def test_two_layers_are_the_equations():
    rnn, inputs, state = make("mingru", 2, 4, 3, [5, 4])
    outputs, _ = rnn.unroll(inputs, state)
    for weight in rnn.weights:
        if weight.name == "bias":
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    outputs, states = rnn.unroll(inputs, state)

    x = inputs.numpy() @ rnn.project.kernel.numpy() + rnn.project.bias.numpy()
    for layer, h, layer_states in zip(rnn.layers, state, states, strict=True):
        u = rms_norm(x)
        residual = x if layer.skip is None else x @ layer.skip.kernel.numpy()

        def affine(dense, u=u):
            return u @ dense.kernel.numpy() + dense.bias.numpy()

        a, g, s = sigmoid(affine(layer.update)), affine(layer.candidate), affine(layer.gate)
        hs = []
        for t in range(4):
            h = (1 - a[:, t]) * h + a[:, t] * g[:, t]
            hs.append(h)
        assert_close(layer_states, np.stack(hs, 1))
        x = residual + (np.stack(hs, 1) * s * sigmoid(s)) @ layer.out.kernel.numpy()
    assert_close(outputs, rms_norm(x))


def gradient_is_finite(rnn, inputs, state):
    @tf.function(autograph=False)
    def compute(inputs, state):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            nest = rnn.unroll(inputs, state)
            loss = weighted_sum(nest)
        return nest, tape.gradient(loss, [inputs, *rnn.trainable_variables])

    return all(np.isfinite(x).all() for x in tf.nest.flatten(compute(inputs, state)))


@pytest.mark.parametrize("bias", [-1e4, 1e4])
def test_saturated_gates_keep_or_replace_the_state(bias):
    rnn, inputs, state = make("mingru", 2, 9, 3, [5])
    rnn.unroll(inputs, state)
    (layer,) = rnn.layers
    layer.update.bias.assign(tf.fill([5], bias))
    _, (states,) = rnn.unroll(inputs, state)
    kept = tf.broadcast_to(state[0][:, None], states.shape)
    assert_close(
        states, kept if bias < 0 else layer.candidate(layer.norm(rnn.project(inputs))), 1e-6
    )
    assert gradient_is_finite(rnn, inputs, state)


def test_a_long_sequence_of_large_inputs_is_finite():
    rnn, inputs, state = make("mingru", 1, 2000, 3, [4, 4])
    rnn.unroll(inputs[:, :1], state)
    assert gradient_is_finite(rnn, 1e4 * inputs, state)


def test_zeros_have_a_finite_gradient():
    rnn, inputs, _ = make("mingru", 1, 3, 3, [4, 4])
    rnn.unroll(inputs, rnn.initial_state(1))
    assert gradient_is_finite(rnn, tf.zeros_like(inputs), rnn.initial_state(1))


@pytest.mark.parametrize("sizes", [[5, 5], [5, 4]])
def test_the_residual_connection_projects_only_inputs_of_another_size(sizes):
    rnn, _, _ = make("mingru", 1, 1, 3, sizes)
    assert [layer.skip is not None for layer in rnn.layers] == [False, sizes[0] != sizes[1]]
