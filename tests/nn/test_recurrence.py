"""The laws of stacks of recurrent layers, tested over all of them."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SMALL, assert_close
from tests.nn.stacks import make, stepwise, weighted_sum
from vaeseq.hparams.field import hyperparameters
from vaeseq.nn.recurrence import RNN_CELLS

shapes = st.tuples(
    st.integers(1, 4),
    st.integers(1, 11),
    st.integers(1, 5),
    st.lists(st.integers(2, 6), min_size=1),  # the norm of a single unit is its sign, a jump
)
all_cells = pytest.mark.parametrize("cell", RNN_CELLS)


@all_cells
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_unroll_equals_repeated_steps(cell, shape):
    rnn, inputs, state = make(cell, *shape)
    assert_close(rnn.unroll(inputs, state), stepwise(rnn, inputs, state))


@all_cells
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_the_custom_gradient_equals_the_automatic_one(cell, shape):
    rnn, inputs, state = make(cell, *shape)
    rnn.unroll(inputs, state)
    given = [inputs, *tf.nest.flatten(state)]
    gradients = []
    for run in (rnn.unroll, functools.partial(stepwise, rnn)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss = weighted_sum(run(inputs, state))
        gradients.append(tape.gradient(loss, given + rnn.trainable_variables))
    assert_close(*gradients, 1e-4)


@all_cells
def test_unroll_backward_starts_each_row_at_its_own_end(cell):
    rnn, inputs, _ = make(cell, 3, 5, 4, [6])
    outputs = rnn.unroll_backward(inputs, tf.constant([5, 2, 1]))
    forward, _ = rnn.unroll(inputs[1:2, 1::-1], rnn.initial_state(1))
    assert_close(outputs[1:2, :2], forward[:, ::-1])
    assert_close(rnn.unroll_backward(inputs)[:1], outputs[:1])


@all_cells
def test_the_initial_state_is_zero_and_a_state_holds_each_feature_once(cell):
    rnn, inputs, state = make(cell, 3, 5, 4, [6, 2])
    _, after = rnn.step(inputs[:, 0], rnn.initial_state(3))
    tf.nest.assert_same_structure(after, state)
    assert [x.shape for x in tf.nest.flatten(after)] == [x.shape for x in tf.nest.flatten(state)]
    assert not any(x.numpy().any() for x in tf.nest.flatten(rnn.initial_state(3)))
    numbers = rnn.state_from(np.arange(rnn.state_size, dtype=np.float32)[None])
    found = np.concatenate([x[0] for x in tf.nest.flatten(numbers)])
    assert sorted(found) == list(range(rnn.state_size))


def test_the_hyperparameter_names_all_recurrences():
    assert hyperparameters(type(SMALL))["rnn_cell"].limits.choices == RNN_CELLS
