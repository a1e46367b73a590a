"""Feed-forward parts: concatenation of features, MLP, positive projection, and layers over time."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vaeseq.hparams import HParams


def concat(features: Any) -> tf.Tensor:
    """Concatenates a nest of tensors [..., D_i] along the last axis."""
    flat = tf.nest.flatten(features)
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=-1)


def positive_projection(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """A map from the reals to positive numbers: `softplus` or `exp`, never below 1e-4.

    The floor bounds densities: without it one constant feature makes a likelihood infinite.
    """
    project = {"softplus": tf.nn.softplus, "exp": tf.exp}[name]
    return lambda x: project(x) + 1e-4


class MLP(keras.layers.Layer):
    """Dense layers of the given sizes, with `hparams.activation` between them, none at the end.

    `call` takes a nest of tensors [..., D_i] and returns [..., sizes[-1]]; without sizes it only
    concatenates.
    """

    def __init__(self, hparams: HParams, sizes: Sequence[int], name: str | None = None):
        super().__init__(name=name)
        activations = [hparams.activation] * (len(sizes) - 1) + [None]
        self.layers = tuple(map(keras.layers.Dense, sizes, activations))

    def call(self, features: Any) -> tf.Tensor:
        """Maps features to the last layer's outputs."""
        outputs = concat(features)
        for layer in self.layers:
            outputs = layer(outputs)
        return outputs
