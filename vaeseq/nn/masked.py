"""Observations with gaps: their values, and what of them is observed."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.types import Nest


class Masked(NamedTuple):
    """Observations [..., *event_shape] of which some elements are missing."""

    values: Nest  # with the decoder's neutral event where an element is missing
    is_observed: Nest  # bool, a nest of tensors like `values`

    @classmethod
    def fill(cls, values: Nest, is_observed: Nest, neutral: Nest) -> "Masked":
        """Replaces what is missing, so that nothing there reaches a gradient.

        Args:
          values: nest of [B, T, *event_shape].
          is_observed: nest of bool like `values`.
          neutral: nest of [1, *event_shape].
        """
        filled = tf.nest.map_structure(
            lambda x, mask, fill: tf.where(mask, x, fill[:, None]), values, is_observed, neutral
        )
        return cls(filled, is_observed)


def log_prob(decoder: DistModule, params: Any, observed: Nest) -> tf.Tensor:
    """Computes the log-density of events in nats; what is missing does not count."""
    if isinstance(observed, Masked):
        return decoder.masked_log_prob(params, observed.values, observed.is_observed)
    return decoder.log_prob(params, observed)


def given(decoder: DistModule, params: Any, observed: Nest) -> Nest:
    """Returns the params of what is missing of events, given what is observed of them."""
    if isinstance(observed, Masked):
        return decoder.given(params, observed.values, observed.is_observed)
    return params


class MaskedEncoder(keras.layers.Layer):
    """An encoder that also tells what is observed: its features are followed by the mask.

    Args:
      encoder: layer from observations [N, *event_shape] to features [N, E].
      name: the layer's name.
    """

    def __init__(self, encoder: keras.layers.Layer, name: str | None = None):
        super().__init__(name=name)
        self.encoder = encoder

    def call(self, observed: Nest) -> tf.Tensor:
        """Returns the features and one number for each element: 1 if it is observed, else 0.

        Args:
          observed: `Masked`, or observations without gaps.
        """
        if not isinstance(observed, Masked):
            ones = tf.nest.map_structure(lambda x: tf.ones_like(x, tf.bool), observed)
            observed = Masked(observed, ones)
        features = self.encoder(observed.values)
        masks = [
            tf.cast(tf.reshape(x, [tf.shape(x)[0], x.shape[1:].num_elements()]), features.dtype)
            for x in tf.nest.flatten(observed.is_observed)
        ]
        return tf.concat([features, *masks], axis=-1)
