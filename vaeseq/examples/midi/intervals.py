"""Intervals: a decoder of keyboards in which what is learned in one key holds in all.

Every key sees what the keys around it did (see `past`) by their interval to it, and what all keys
of a pitch class did. All keys share the weights. The result goes to those hidden units of
`codec.NADEDecoder` that see the other keys of a frame by interval (`interval_units`). The other
params come from the features of the core, which know the keys by number.

Source: Johnson, "Generating Polyphonic Music Using Tied Parallel Networks", 2017, whose networks
are recurrent and see the last frame.
"""

import keras
import tensorflow as tf

from vaeseq.codec import NADEDecoder
from vaeseq.codec.wrapped import WrappedDecoder
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.mlp import MLP

_OCTAVE = 12


class IntervalDecoder(WrappedDecoder):
    """`decoder` after a network that sees keyboards by interval.

    Takes features [N, D + K C]: those of the core, and C for each of the K keys.

    Args:
      hparams: the hyperparameters.
      decoder: the distribution of frames, with `interval_units`.
      num_features: C.
    """

    decoder: NADEDecoder

    def __init__(self, hparams: MidiHParams, decoder: NADEDecoder, num_features: int):
        super().__init__(decoder)
        self.num_features, units = num_features, decoder.interval_units
        sizes = (decoder.num_logits, decoder.hidden, units)
        self.mlp = MLP(hparams, (*hparams.obs_decoder_fc_hidden_layers, sum(sizes)))
        self.sizes, self.dropout = sizes, Dropout(hparams.dropout)
        self.by_interval = SeeIntervals(hparams.interval_features, decoder.line_size)
        self.key_dropout = Dropout(hparams.dropout / 2)
        self.to_units = keras.layers.Dense(units)

    def network(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the params of `decoder`, flattened."""
        keys = self.decoder.num_elements
        of_keys = keys * self.num_features
        of_core, of_keys = features[:, :-of_keys], features[:, -of_keys:]
        bias, hidden, shared = tf.split(self.mlp(self.dropout(of_core)), self.sizes, axis=-1)
        seen = self.by_interval(tf.reshape(of_keys, [-1, keys, self.num_features]))
        # The same features of all keys are dropped, as the same weights are.
        kept = self.key_dropout(tf.ones_like(seen[:, :1]))
        local = self.to_units(kept * seen) + shared[:, None]
        flat = tf.reshape(local, [-1, keys * self.decoder.interval_units])
        return tf.concat([bias, flat, hidden], axis=-1)


class SeeIntervals(keras.layers.Layer):
    """Features of keys [N, K, F], from features of the keys around them [N, K, C].

        relu(p_k + sum over j of A_{j - k} x_j + sum over j of B_{(j - k) mod 12} x_j)

    with |j - k| <= 12 in the first sum. p_k, the only part that knows k, is 0 at first. Where there
    are several keyboards, x_j has the sum over all of them as further features.

    Args:
      units: F.
      line_size: the number of keys of a keyboard.
    """

    def __init__(self, units: int, line_size: int = KEYS):
        super().__init__()
        self.units, self.line_size = units, line_size

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates A [25, C, F], B [12, C, F] and p [K, F]."""
        keys, features = input_shape[1:]
        features *= 1 + (keys > self.line_size)
        self.A = self.add_weight(shape=(2 * _OCTAVE + 1, features, self.units), name="near")
        self.B = self.add_weight(shape=(_OCTAVE, features, self.units), name="octaves")
        self.p = self.add_weight(shape=(keys, self.units), initializer="zeros", name="position")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the features of all keys."""
        keys, features = x.shape[1:]
        lines = tf.reshape(x, [-1, keys // self.line_size, self.line_size, features])
        if keys > self.line_size:
            together = tf.broadcast_to(tf.reduce_sum(lines, 1, keepdims=True), tf.shape(lines))
            lines = tf.concat([lines, together], axis=-1)
        lines = tf.reshape(lines, [-1, self.line_size, lines.shape[-1]])
        near = tf.nn.conv1d(lines, self.A, stride=1, padding="SAME")
        sums = tf.reshape(near + self._by_pitch_class(lines), [-1, keys, self.units])
        return tf.nn.relu(sums + self.p)

    def _by_pitch_class(self, lines: tf.Tensor) -> tf.Tensor:
        """Returns the sum with B for keyboards [N, line_size, C]: [N, line_size, F]."""
        octaves = -(-self.line_size // _OCTAVE)
        padding = octaves * _OCTAVE - self.line_size
        padded = tf.pad(lines, [[0, 0], [0, padding], [0, 0]])
        classes = tf.reshape(padded, [-1, octaves, _OCTAVE, lines.shape[-1]])
        classes = tf.reduce_sum(classes, axis=1)  # [N, 12, C]
        circle = tf.concat([classes, classes[:, :-1]], axis=1)
        sums = tf.nn.conv1d(circle, self.B, stride=1, padding="VALID")
        return tf.tile(sums, [1, octaves, 1])[:, : self.line_size]
