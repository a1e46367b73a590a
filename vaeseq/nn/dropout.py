"""Dropout whose masks do not depend on the number of replicas."""

import keras
import tensorflow as tf

from vaeseq.nn.replicas import own_rows


class Dropout(keras.layers.Dropout):
    """Keras's dropout, with masks sampled for the global batch.

    Each replica uses its own rows of the mask, so several replicas drop what one would drop.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """In training, sets a share `rate` of the inputs to 0 and scales the others up."""
        if not training or self.rate == 0:
            return inputs
        return tf.where(self._sample_kept(tf.shape(inputs)), inputs / (1 - self.rate), 0.0)

    def _sample_kept(self, shape: tf.Tensor) -> tf.Tensor:
        """Samples a mask that is True with probability 1 - `rate`."""
        seed = tf.cast(self.seed_generator.next(), tf.int32)

        def uniform(shape: tf.Tensor) -> tf.Tensor:
            return tf.random.stateless_uniform(shape, seed)

        return own_rows(uniform, shape) >= self.rate


class WordDropout(Dropout):
    """Dropout of whole vectors [..., D], without scaling the others."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """In training, sets a share `rate` of the vectors to 0."""
        if not training or self.rate == 0:
            return inputs
        one_per_vector = tf.concat([tf.shape(inputs)[:-1], [1]], 0)
        return tf.where(self._sample_kept(one_per_vector), inputs, 0.0)
