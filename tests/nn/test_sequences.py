"""The scan over time, and the last step of sequences."""

import pytest
import tensorflow as tf

from tests.conftest import assert_close
from vaeseq.nn.sequences import last, scan


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
