"""Feed-forward parts: concatenation of features, MLP, positive projection."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.types import Nest


def concat(features: Nest) -> tf.Tensor:
    """Concatenates a nest of tensors [..., D_i] along the last axis.

    Raises:
      ValueError: if the nest is empty.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> vaeseq.concat((tf.zeros([4, 2]), [tf.zeros([4, 3]), tf.zeros([4, 1])])).shape
      TensorShape([4, 6])
    """
    flat = tf.nest.flatten(features)
    if not flat:
        raise ValueError(
            "there are no features to concatenate; if they are those of context.Inputs, give the "
            "model an inputs_spec, or use context.Nothing"
        )
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=-1)


def positive_projection(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a map from real to positive numbers: `softplus` or `exp`, plus 1e-4.

    The floor bounds densities: without it, a feature that never varies makes a likelihood infinite.
    """
    project = {"softplus": tf.nn.softplus, "exp": tf.exp}[name]

    def positive(x: tf.Tensor) -> tf.Tensor:
        return project(x) + 1e-4

    return positive


class MLP(keras.layers.Layer):
    """Dense layers, with `hparams.activation` between them and none after the last.

    Args:
      hparams: the hyperparameters.
      sizes: the number of units of each layer; without layers, `call` only concatenates.
      name: the layer's name.
    """

    def __init__(self, hparams: HParams, sizes: Sequence[int], name: str | None = None):
        super().__init__(name=name)
        activations = [hparams.activation] * (len(sizes) - 1) + [None]
        self.layers = tuple(map(keras.layers.Dense, sizes, activations))

    def call(self, features: Nest) -> tf.Tensor:
        """Maps a nest of features [..., D_i] to the outputs of the last layer, [..., sizes[-1]]."""
        outputs = concat(features)
        for layer in self.layers:
            outputs = layer(outputs)
        return outputs
