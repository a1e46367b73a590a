"""Weights that follow those of a policy with a delay, for its rollouts."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class DelayedWeights(keras.layers.Layer):
    """Exponential moving averages of weights.

    Args:
      weights: the weights.
      share: the part of the average that stays at each step.
    """

    def __init__(self, weights: Sequence[keras.Variable], share: float):
        super().__init__(name="delayed_weights")
        self.share = share
        self._followed = lambda: weights  # Keras would take them for weights of this layer
        self.averages = [
            self.add_weight(
                shape=weight.shape,
                initializer="zeros",
                dtype=weight.dtype,
                trainable=False,
                aggregation="only_first_replica",
            )
            for weight in weights
        ]
        self.built = True

    def follow(self, is_first: tf.Tensor) -> None:
        """Moves the averages towards the weights; the first time, onto them."""
        share = tf.where(is_first, 0.0, self.share)
        for average, weight in zip(self.averages, self._followed(), strict=True):
            average.assign(share * average + (1 - share) * weight)

    def scope(self) -> keras.StatelessScope:
        """Returns a context in which the weights have the values of the averages."""
        pairs = zip(self._followed(), self.averages, strict=True)
        return keras.StatelessScope(
            state_mapping=[(weight, tf.convert_to_tensor(average)) for weight, average in pairs]
        )
