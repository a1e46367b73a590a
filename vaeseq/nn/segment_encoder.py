"""SegmentEncoder: a summary of sequences in two levels, the segments and then their sequence.

    over segments      e'_1 <-> e'_2 <-> ... <-> e'_K      forward and backward
                        |        |                |
    within each one    e_1,f_1  e_S,f_S+1 ...              forward and backward over S steps

A recurrence over T steps must remember what happened T steps ago. Here it is S + K steps, and all
segments of all sequences are one batch of short sequences.
"""

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.sequences import last
from vaeseq.nn.stack import RecurrentStack


class SegmentEncoder(keras.layers.Layer):
    """Summarises sequences that begin with a segment.

    Args:
      hparams: the hyperparameters; `hparams.seqvae_segment` is S.
      within: two stacks, forward and backward, over the steps of a segment.
      name: the layer's name.
    """

    def __init__(
        self, hparams: HParams, within: tuple[RecurrentStack, RecurrentStack], name: str | None
    ):
        super().__init__(name=name)
        self.segment, self.within = hparams.seqvae_segment, within
        self.over = LSTMStack(hparams, name="over_e"), LSTMStack(hparams, name="over_f")

    def call(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns a summary [B, 2 D] of each row of inputs [B, T, X] with lengths [B], or of T."""
        rows, steps = tf.unstack(tf.shape(inputs)[:2])
        segments = (steps - 1) // self.segment + 1
        inputs = tf.pad(inputs, [[0, 0], [0, segments * self.segment - steps], [0, 0]])
        if lengths is None:
            lengths = tf.fill([rows], steps)
        starts = tf.range(segments) * self.segment
        left = tf.clip_by_value(lengths[:, None] - starts, 0, self.segment)  # [B, K]
        parts = tf.reshape(inputs, [-1, self.segment, inputs.shape[-1]])
        parts = both_ways(self.within, parts, tf.reshape(left, [-1]))
        parts = tf.reshape(parts, [rows, segments, parts.shape[-1]])
        return both_ways(self.over, parts, (lengths - 1) // self.segment + 1)


def both_ways(
    stacks: tuple[RecurrentStack, RecurrentStack], inputs: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Returns the ends of a pass forward and of one backward over [B, T, X], joined: [B, 2 D]."""
    forward, backward = stacks
    e, _ = forward.unroll(inputs, forward.initial_state(tf.shape(inputs)[0]))
    f = backward.unroll_backward(inputs, lengths)
    return tf.concat([last(e, lengths), f[:, 0]], axis=-1)
