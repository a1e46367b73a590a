"""SeqGAN's discriminator as its definition reads, as in vaeseq 0.1; the gradient is TensorFlow's.

`benchmarks.speed.discriminator_step` times it beside the one of the library, and tests hold that
one to it.
"""

from collections.abc import Sequence

import tensorflow as tf

from vaeseq.adversarial.discriminators import CNN
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import over_time
from vaeseq.nn.types import Nest


class PlainCNN(CNN):
    """The discriminator of 0.1."""

    def call(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits [B, 1] of sequences, a nest of [B, T, *event_shape]."""
        features = over_time(self.encoder, observed)
        mask = tf.ones_like(features[..., :1])
        if lengths is not None:
            mask = tf.sequence_mask(lengths, tf.shape(features)[1], features.dtype)[..., None]
        pairs = zip(self.filters, self.widths, strict=True)
        maps = [layer(windows(features * mask, width)) * mask for layer, width in pairs]
        x = concat([tf.reduce_max(f, axis=1) for f in maps])
        gate = self.gate(x)
        return self.logit(self.dropout(gate * self.transform(x) + (1 - gate) * x))


def window_maxima(
    features: tf.Tensor,
    kernels: Sequence[tf.Tensor],
    lengths: tf.Tensor | None = None,
    whole: bool = False,
) -> list[tf.Tensor]:
    """Returns what `vaeseq.adversarial.convolution.window_maxima` does."""
    size, time = features.shape[-1], features.shape[1]
    maxima = []
    for kernel in kernels:
        width = kernel.shape[0] // size
        maps = tf.tensordot(windows(features, width), kernel, 1)
        last = tf.fill(features.shape[:1], time) if lengths is None else lengths
        last = tf.maximum(last - (width if whole else 1), 0)
        counts = tf.range(time)[None, :, None] <= last[:, None, None]
        maxima.append(tf.reduce_max(tf.where(counts, maps, -1e30), axis=1))
    return maxima


def windows(features: tf.Tensor, width: int) -> tf.Tensor:
    """Returns the `width` steps from each t on: [B, T, E] to [B, T, width E], padded with zeros."""
    time = tf.shape(features)[1]
    padded = tf.pad(features, [[0, 0], [0, width - 1], [0, 0]])
    return tf.concat([padded[:, first : first + time] for first in range(width)], axis=-1)
