"""SegmentEncoder: what each segment of a sequence says, and a summary of them all.

    over segments      e_1 <-> e_2 <-> ... <-> e_N        f and e: the summary
                        |       |               |
    segments           s_1     s_2     ...     s_N        each a dense layer over all its steps
                        |       |               |
                       p_1     p_2     ...     p_N        its part

A recurrence must remember what it read long ago, and learns slowly what to keep. So a dense layer
reads the S steps of a segment at once, all segments by the same weights, and the recurrences have
only N = T / S steps.
"""

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.conducted import part_size
from vaeseq.nn.sequences import last
from vaeseq.nn.stack import RecurrentStack


class SegmentEncoder(keras.layers.Layer):
    """Reads sequences that begin with a segment.

    Args:
      hparams: the hyperparameters; `hparams.seqvae_segment` is S and `hparams.seqvae_parts` K.
      over: two stacks, forward and backward, over segments.
      name: the layer's name.
    """

    def __init__(
        self, hparams: HParams, over: tuple[RecurrentStack, RecurrentStack], name: str | None
    ):
        super().__init__(name=name)
        self.segment, self.num_parts = hparams.seqvae_segment, hparams.seqvae_parts
        self.over = over
        self.of_segment = keras.layers.Dense(
            2 * hparams.rnn_hidden_sizes[-1], hparams.activation, name="of_segment"
        )
        self.part = keras.layers.Dense(part_size(hparams), name="part")

    def call(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads inputs [B, T, X] with lengths [B], or of T steps.

        Returns:
          A summary [B, 2 D], and p_1:K [B, K P], where segments k, k + K, ... add up to p_k.
        """
        rows, steps = tf.unstack(tf.shape(inputs)[:2])
        if lengths is None:
            lengths = tf.fill([rows], steps)
        inputs *= tf.sequence_mask(lengths, steps, inputs.dtype)[..., None]
        rounds = (steps - 1) // (self.segment * self.num_parts) + 1
        most = rounds * self.num_parts
        inputs = tf.pad(inputs, [[0, 0], [0, most * self.segment - steps], [0, 0]])
        inputs = tf.reshape(inputs, [rows, most, self.segment * inputs.shape[-1]])
        segments = self.of_segment(inputs)
        counts = (lengths - 1) // self.segment + 1
        parts = self.part(segments) * tf.sequence_mask(counts, most, inputs.dtype)[..., None]
        parts = tf.reduce_sum(tf.reshape(parts, [rows, rounds, -1]), axis=1)
        return both_ways(self.over, segments, counts), parts


def both_ways(
    stacks: tuple[RecurrentStack, RecurrentStack], inputs: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Returns the ends of a pass forward and of one backward over [B, T, X], joined: [B, 2 D]."""
    forward, backward = stacks
    e, _ = forward.unroll(inputs, forward.initial_state(tf.shape(inputs)[0]))
    f = backward.unroll_backward(inputs, lengths)
    return tf.concat([last(e, lengths), f[:, 0]], axis=-1)
