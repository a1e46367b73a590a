"""The linear recurrence h_t = keep_t h_{t-1} + add_t and its gradient."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import assert_close
from vaeseq.nn.linear_scan import linear_scan

both_ways = pytest.mark.parametrize("reverse", [False, True])


def make(steps, batch=2, units=3, dtype=tf.float32):
    """Returns keep, add and the initial state."""
    shape = [steps, batch, units]
    keep = tf.random.stateless_uniform(shape, [0, 1], dtype=dtype)
    add = tf.random.stateless_normal(shape, [0, 2], dtype=dtype)
    return keep, add, tf.random.stateless_normal([batch, units], [0, 3], dtype=dtype)


def plain_loop(keep, add, state, reverse=False):
    """The definition."""
    steps = range(keep.shape[0])
    states = {}
    for t in reversed(steps) if reverse else steps:
        states[t] = state = keep[t] * state + add[t]
    return tf.stack([states[t] for t in steps])


def gradients(run, *args):
    """Returns the gradient of the sum of squares."""
    with tf.GradientTape() as tape:
        tape.watch(args)
        loss = tf.add_n([tf.reduce_sum(x**2) for x in tf.nest.flatten(run(*args))])
    return tape.gradient(loss, args)


@both_ways
@settings(max_examples=15, deadline=None)
@given(steps=st.integers(1, 20))
def test_the_scan_and_its_gradient_are_those_of_the_plain_loop(reverse, steps):
    args = make(steps)
    assert_close(linear_scan(*args, reverse), plain_loop(*args, reverse))

    def scan(*args):
        return linear_scan(*args, reverse)

    def loop(*args):
        return plain_loop(*args, reverse)

    assert_close(gradients(scan, *args), gradients(loop, *args))


@both_ways
def test_the_gradient_is_that_of_finite_differences(reverse):
    args = make(11, dtype=tf.float64)
    directions = [tf.random.stateless_normal(x.shape, [1, 1], dtype=x.dtype) for x in args]

    def along(step):
        moved = [x + step * d for x, d in zip(args, directions, strict=True)]
        return tf.reduce_sum(linear_scan(*moved, reverse) ** 2)

    slope = (along(1e-5) - along(-1e-5)) / 2e-5
    found = gradients(lambda *args: linear_scan(*args, reverse), *args)
    expected = sum(tf.reduce_sum(g * d) for g, d in zip(found, directions, strict=True))
    assert_close(slope, expected, 1e-7)


def test_the_gradient_has_a_gradient():
    args = make(9)
    second = []
    for run in (linear_scan, plain_loop):
        second.append(gradients(lambda *args, run=run: gradients(run, *args), *args))
    assert_close(*second)


def test_xla_and_sizes_that_are_not_known_agree_with_eager():
    args = make(11)
    eager = linear_scan(*args), gradients(linear_scan, *args)

    def both(*args):
        return linear_scan(*args), gradients(linear_scan, *args)

    assert_close(tf.function(both, autograph=False, jit_compile=True)(*args), eager)
    unknown = [tf.TensorSpec([None] * x.shape.rank) for x in args]
    assert_close(tf.function(both, unknown, autograph=False)(*args), eager)


def test_gates_at_their_limits():
    _, add, initial = make(13)
    ones, zeros = tf.ones_like(add), tf.zeros_like(add)
    assert_close(linear_scan(zeros, add, initial), add, 0)
    kept = linear_scan(ones, zeros, initial)
    assert_close(kept, tf.broadcast_to(initial, kept.shape), 0)
    assert_close(linear_scan(ones, add, initial), initial + tf.cumsum(add))
    of_zeros, of_ones = (gradients(linear_scan, keep, add, initial) for keep in (zeros, ones))
    assert not of_zeros[2].numpy().any(), "h_0 has no effect if nothing is kept"
    assert all(np.isfinite(x).all() for x in (*of_zeros, *of_ones))


def test_long_sequences_are_exact():
    keep, add, initial = make(2000, 1, 4)
    keep = tf.where(keep < 0.5, keep, [0.0, 1e-30, 0.5, 1.0])
    expected = plain_loop(*(x.numpy().astype(np.float64) for x in (keep, add, initial)))
    assert_close(tf.cast(linear_scan(keep, add, initial), tf.float64), expected)
    ones = tf.ones_like(add)
    compiled = tf.function(lambda *args: gradients(linear_scan, *args), autograph=False)
    assert all(np.isfinite(x).all() for x in compiled(ones, 1e4 * add, initial))
