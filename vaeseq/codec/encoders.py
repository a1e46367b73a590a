"""Encoders of observations: layers from observations [N, *event_shape] to features [N, E]."""

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.mlp import MLP
from vaeseq.nn.types import Nest


class Flatten(keras.layers.Layer):
    """An encoder that flattens: nest of observations [N, ...] of any dtype to features [N, E].

    Example:
      >>> import numpy as np
      >>> from vaeseq import codec
      >>> codec.Flatten()((np.zeros([2, 3, 4]), np.zeros([2], np.int32))).shape
      TensorShape([2, 13])
    """

    def call(self, observed: Nest) -> tf.Tensor:
        """Flattens each tensor, casts it to float32, and concatenates all."""
        return tf.concat(
            [
                tf.reshape(tf.cast(x, tf.float32), [tf.shape(x)[0], math.prod(x.shape[1:])])
                for x in tf.nest.flatten(observed)
            ],
            axis=-1,
        )


class EncoderSequence(keras.layers.Layer):
    """Encoders applied one after another.

    Args:
      encoders: layers; the first takes observations, each other the outputs of the one before.
      name: the layer's name.

    Example:
      >>> import keras
      >>> import numpy as np
      >>> from vaeseq import codec
      >>> encoder = codec.EncoderSequence([keras.layers.Embedding(26, 4), keras.layers.Dense(8)])
      >>> encoder(np.array([0, 25])).shape
      TensorShape([2, 8])
    """

    def __init__(self, encoders: Sequence[Callable[[Nest], Nest]], name: str | None = None):
        super().__init__(name=name)
        self.encoders = tuple(encoders)

    def call(self, observed: Nest) -> Nest:
        """Returns the outputs of the last encoder."""
        for encoder in self.encoders:
            observed = encoder(observed)
        return observed


class MLPObsEncoder(EncoderSequence):
    """`first`, then an MLP of `hparams.obs_encoder_fc_layers`, then dropout.

    Args:
      hparams: the hyperparameters.
      first: layer from observations [N, *event_shape] to features; by default `Flatten`.
      name: the layer's name.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> encoder = vaeseq.codec.MLPObsEncoder(vaeseq.HParams(obs_encoder_fc_layers=(16, 8)))
      >>> encoder(np.zeros([2, 3])).shape
      TensorShape([2, 8])
    """

    def __init__(
        self, hparams: HParams, first: keras.layers.Layer | None = None, name: str | None = None
    ):
        mlp = MLP(hparams, hparams.obs_encoder_fc_layers)
        dropout = Dropout(hparams.dropout)
        super().__init__([first or Flatten(), mlp, dropout], name=name)
