"""Dropout that several replicas of a model do together as one would."""

import keras
import tensorflow as tf

from vaeseq.nn.replicas import own_rows


class Dropout(keras.layers.Dropout):
    """As in Keras, but where several replicas share a batch, each drops what one would drop."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Zeros for some of the inputs in training, and the others scaled up."""
        if not training or self.rate == 0:
            return inputs
        return tf.where(self._kept(tf.shape(inputs)), inputs / (1 - self.rate), 0.0)

    def _kept(self, shape: tf.Tensor) -> tf.Tensor:
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        return own_rows(lambda x: tf.random.stateless_uniform(x, seed), shape) >= self.rate


class WordDropout(Dropout):
    """Drops whole vectors of [..., D], and does not scale what is left."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Zeros for some of the vectors in training."""
        if not training or self.rate == 0:
            return inputs
        whole = tf.concat([tf.shape(inputs)[:-1], [1]], 0)
        return tf.where(self._kept(whole), inputs, 0.0)
