"""Errors of values that are not finite."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.errors import Stopped, UsageError
from vaeseq.nn.finite import (
    assert_finite,
    assert_samplable,
    raise_clear_errors,
    reraise_overflow,
)

VARIABLES = [SimpleNamespace(path=f"layer_{i}/kernel") for i in range(3)]


@raise_clear_errors
@tf.function
def check(values):
    """Checks suspects a, with an integer in its nest, and b, and three gradients."""
    a, b, gradients = values
    sparse = tf.IndexedSlices(gradients[1:], tf.constant([0]), tf.constant([5]))
    suspects = {"a": (a, tf.constant(1)), "b": b}
    step = tf.constant(7)
    assert_finite(a + b, suspects, VARIABLES, [gradients[:1], None, sparse], step)
    return tf.constant(True)


@pytest.mark.parametrize(
    ("a", "b", "gradients", "names"),
    [
        (np.nan, 1, (1, 1), "a"),
        (1, np.inf, (1, 1), "b"),
        (1, 1, (-np.inf, 1), "the gradient of layer_0/kernel, the norm of all gradients"),
        (1, 1, (1, np.nan), "the gradient of layer_2/kernel, the norm of all gradients"),
        (1, 1, (1e30, 1), "the norm of all gradients"),
        (np.nan, np.nan, (np.nan, np.nan), "a, b, the gradient of layer_0/kernel"),
    ],
)
def test_up_to_three_tensors_that_are_not_finite_are_named(a, b, gradients, names):
    with pytest.raises(Stopped) as error:
        check([tf.constant(float(a)), tf.constant(float(b)), tf.constant(gradients, tf.float32)])
    assert str(error.value).startswith(f"step 7: {names} not finite; nothing was updated. ")
    assert "\n" not in str(error.value)


def test_finite_values_pass():
    assert check([tf.constant(1.0), tf.constant(2.0), tf.constant([3.0, 4.0])])


def test_other_errors_of_tensorflow_pass_unchanged():
    @raise_clear_errors
    def function(_):
        tf.debugging.Assert(False, ["something else"])

    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"):
        function(None)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_parameters_that_are_nan_or_infinite_cannot_be_sampled_from(bad):
    sample = tf.function(lambda x: assert_samplable((x, tf.constant(1)))[0])
    excluded = tf.constant([0.5, -np.inf])
    np.testing.assert_array_equal(sample(excluded), excluded)
    with pytest.raises(UsageError, match="not finite: the weights"), reraise_overflow():
        sample(tf.constant([0.5, bad]))
    with pytest.raises(Stopped, match="not finite; use a smaller learning_rate"):
        raise_clear_errors(sample)(tf.constant([bad, 0.5]))
