"""Convolutional networks for images."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from vaeseq.codec.elementwise import ElementwiseDecoder
from vaeseq.codec.wrapped import WrappedDecoder
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import Dropout

_KERNEL = 4


class ConvObsEncoder(keras.layers.Layer):
    """Convolutions with stride 2, one for each of `filters`, then dropout.

    Args:
      hparams: the hyperparameters.
      filters: the number of filters of each layer.
      name: the layer's name.
    """

    def __init__(
        self, hparams: HParams, filters: Sequence[int] = (16, 32), name: str | None = None
    ):
        super().__init__(name=name)
        self.convolutions = tuple(
            keras.layers.Conv2D(n, _KERNEL, 2, "same", activation=hparams.activation)
            for n in filters
        )
        self.dropout = Dropout(hparams.dropout)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Maps images [N, height, width] or [N, height, width, channels] to features [N, E]."""
        x = tf.cast(images, tf.float32)
        x = x[..., None] if x.shape.rank == 3 else x
        for convolution in self.convolutions:
            x = convolution(x)
        return self.dropout(tf.reshape(x, [tf.shape(x)[0], math.prod(x.shape[1:])]))


class ConvDecoder(WrappedDecoder):
    """Dropout, a dense layer, and transposed convolutions with stride 2, then `decoder`.

    Args:
      hparams: the hyperparameters.
      decoder: the distribution of images [height, width] or [height, width, channels], with
        independent pixels, such as `BernoulliDecoder`. If they depend on each other, as with
        `NADEDecoder`, use `MLPObsDecoder`.
      filters: the number of filters of each layer, in the order of the encoder: the last is the
        first here.
      name: the layer's name.

    Raises:
      ValueError: if `decoder` is not one of independent pixels of images.
    """

    def __init__(
        self,
        hparams: HParams,
        decoder: ElementwiseDecoder,
        filters: Sequence[int] = (16, 32),
        name: str | None = None,
    ):
        if not isinstance(decoder, ElementwiseDecoder) or len(decoder.event_shape) not in (2, 3):
            raise ValueError(
                "ConvDecoder needs a decoder of independent pixels with the event shape [height, "
                "width] or [height, width, channels], such as codec.BernoulliDecoder([16, 16]), "
                f"not {type(decoder).__name__} of {decoder.event_shape}"
            )
        super().__init__(decoder, name=name)
        self.image_shape = decoder.event_shape.as_list()
        self.flatten_maps = decoder.flatten_maps
        height, width = self.image_shape[:2]
        self.small = [-(-size // 2 ** len(filters)) for size in (height, width)]
        self.first_filters = filters[-1]
        self.dropout = Dropout(hparams.dropout)
        self.dense = keras.layers.Dense(
            math.prod(self.small) * filters[-1], activation=hparams.activation
        )
        outputs = [*reversed(filters[:-1]), decoder.param_size // (height * width)]
        activations = [hparams.activation] * (len(filters) - 1) + [None]
        self.convolutions = tuple(
            keras.layers.Conv2DTranspose(n, _KERNEL, 2, "same", activation=activation)
            for n, activation in zip(outputs, activations, strict=True)
        )

    def network(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the params of all pixels, [N, decoder.param_size]."""
        x = self.dense(self.dropout(features))
        x = tf.reshape(x, [tf.shape(x)[0], *self.small, self.first_filters])
        for convolution in self.convolutions:
            x = convolution(x)
        shape = self.image_shape
        x = x[:, : shape[0], : shape[1]]
        params = x.shape[-1] // math.prod(shape[2:])
        return self.flatten_maps(tf.reshape(x, [tf.shape(x)[0], *shape, params]))
