"""The summary of sequences in segments."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, assert_close
from vaeseq.nn.recurrence import make_stack
from vaeseq.nn.segment_encoder import SegmentEncoder, both_ways

HPARAMS = SMALL.replace(seqvae_segment=3, seqvae_parts=2)


@pytest.fixture
def encoder():
    return SegmentEncoder(HPARAMS, (make_stack(HPARAMS), make_stack(HPARAMS)), name="segments")


def test_both_ways_are_the_outputs_at_the_two_ends_of_each_row():
    stacks = make_stack(HPARAMS), make_stack(HPARAMS)
    inputs = tf.random.stateless_normal([2, 5, 2], [1, 2])
    ends = both_ways(stacks, inputs, tf.constant([5, 2]))
    for row, length in enumerate((5, 2)):
        steps = inputs[row : row + 1, :length]
        parts = [
            stack.unroll(x, stack.initial_state(1))[0][:, -1]
            for stack, x in zip(stacks, (steps, steps[:, ::-1]), strict=True)
        ]
        assert_close(ends[row : row + 1], tf.concat(parts, axis=-1))


def test_it_reads_each_segment_and_then_their_sequence(encoder):
    """Of 8 and 4 steps: segments of 3, 3, 2 and of 3, 1; the third adds to the first part."""
    inputs = tf.random.stateless_normal([2, 8, 2], [1, 2])
    summary, parts = encoder(inputs, tf.constant([8, 4]))
    for row, ends in enumerate(([(0, 3), (3, 6), (6, 8)], [(0, 3), (3, 4)])):
        steps = [np.zeros([3, 2], np.float32) for _ in ends]
        for segment, (a, b) in zip(steps, ends, strict=True):
            segment[: b - a] = inputs[row, a:b]
        segments = encoder.of_segment(np.stack(steps).reshape(1, len(ends), 6))
        found = both_ways(encoder.over, segments, tf.constant([len(ends)]))
        assert_close(summary[row : row + 1], found)
        first, second, *third = encoder.part(segments)[0]
        assert_close(parts[row], tf.concat([tf.add_n([first, *third]), second], axis=0))
    alone = encoder(inputs[:1], None)
    assert_close(alone, (summary[:1], parts[:1]))


def test_every_step_counts_and_no_padding(encoder):
    inputs = tf.random.stateless_normal([1, 8, 2], [1, 2])
    encoder(inputs, None)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = sum(map(tf.reduce_sum, encoder(inputs, tf.constant([7]))))
    reached = np.abs(tape.gradient(total, inputs)).max(axis=(0, 2)) > 0
    assert reached.tolist() == 7 * [True] + [False]
