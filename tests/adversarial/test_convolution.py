"""Maxima of convolutions against their definition."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.speed import plain_cnn as plain
from tests.conftest import assert_close
from vaeseq.adversarial.convolution import window_maxima

WIDTHS, FILTERS, SIZE = (1, 3, 2, 7), (4, 2, 3, 5), 3


def made(steps, lengths):
    """Returns features, whose steps repeat so that maxima are equal, and kernels."""
    rng = np.random.default_rng(steps)
    symbols = rng.integers(3, size=[6, steps])
    features = rng.normal(size=[3, SIZE]).astype(np.float32)[symbols]
    if lengths is not None:
        features *= np.arange(steps)[:, None] < np.reshape(lengths, [-1, 1, 1])
    kernels = [
        rng.normal(size=[width * SIZE, filters]).astype(np.float32)
        for width, filters in zip(WIDTHS, FILTERS, strict=True)
    ]
    return tf.constant(features), [tf.constant(kernel) for kernel in kernels]


def with_gradients(function, features, kernels, *args):
    with tf.GradientTape() as tape:
        tape.watch([features, kernels])
        maxima = function(features, kernels, *args)
        total = tf.add_n([tf.reduce_sum(tf.sin(x + i)) for i, x in enumerate(maxima)])
    return tf.nest.flatten([maxima, tape.gradient(total, [features, kernels])])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("lengths", [None, [1, 2, 3, 5, 4, 5]])
@pytest.mark.parametrize("steps", [5, 9])
def test_maxima_and_gradients_are_those_of_the_definition(steps, lengths, whole):
    args = *made(steps, lengths), None if lengths is None else tf.constant(lengths), whole
    compiled = tf.function(
        window_maxima, input_signature=None, autograph=False, reduce_retracing=True
    )
    expected = with_gradients(plain.window_maxima, *args)
    for function in (window_maxima, compiled):
        for found, x in zip(with_gradients(function, *args), expected, strict=True):
            assert_close(found, x, 1e-5)


def test_a_filter_of_whole_windows_sees_none_that_runs_over_the_end():
    features = tf.constant([[[1.0], [2.0], [3.0]]])
    kernel = tf.constant([[1.0], [-1.0]])  # x_t - x_t+1; at the end, x_T - 0
    maxima = [window_maxima(features, [kernel], None, whole)[0] for whole in (False, True)]
    np.testing.assert_allclose(maxima, [[[3.0]], [[-1.0]]])


def test_gradients_are_the_same_in_every_call():
    features, kernels = made(9, None)
    first = with_gradients(window_maxima, features, kernels)
    for _ in range(5):
        for x, y in zip(with_gradients(window_maxima, features, kernels), first, strict=True):
            np.testing.assert_array_equal(x, y)
