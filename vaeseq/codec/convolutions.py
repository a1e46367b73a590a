"""Convolutional networks for images."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from vaeseq.codec.elementwise import ElementwiseDecoder
from vaeseq.codec.nade import NADEDecoder
from vaeseq.codec.wrapped import WrappedDecoder
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.mlp import MLP

_KERNEL = 4


class ConvObsEncoder(keras.layers.Layer):
    """Convolutions with stride 2, one for each of `filters`, then dropout.

    Args:
      hparams: the hyperparameters.
      filters: the number of filters of each layer.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> encoder = vaeseq.codec.ConvObsEncoder(vaeseq.HParams(), filters=(4, 8))
      >>> encoder(tf.zeros([2, 16, 16])).shape  # 8 filters of 4 x 4
      TensorShape([2, 128])
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
    """Dropout, dense layers, and transposed convolutions with stride 2, then `decoder`.

    The dense layers are those of `hparams.obs_decoder_fc_hidden_layers` and one to the pixels of
    the first convolution. The params that belong to no pixel, for the hidden units of
    `NADEDecoder`, come from a dense layer of their own.

    Args:
      hparams: the hyperparameters.
      decoder: the distribution of images [height, width] or [height, width, channels]: one of
        independent pixels, such as `BernoulliDecoder`, or `NADEDecoder`, whose pixels depend on
        those above them and to their left.
      filters: the number of filters of each layer, in the order of the encoder: the last is the
        first here.
      name: the layer's name.

    Raises:
      ValueError: if `decoder` is none of these, or not one of images.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> pixels = codec.BernoulliDecoder([16, 16])
      >>> decoder = codec.ConvDecoder(vaeseq.HParams(), pixels, filters=(4, 8))
      >>> params = decoder(tf.zeros([2, 50]))
      >>> decoder.sample(params, seed=[0, 1]).shape
      TensorShape([2, 16, 16])
    """

    def __init__(
        self,
        hparams: HParams,
        decoder: ElementwiseDecoder | NADEDecoder,
        filters: Sequence[int] = (16, 32),
        name: str | None = None,
    ):
        is_known = isinstance(decoder, ElementwiseDecoder | NADEDecoder)
        if not is_known or len(decoder.event_shape) not in (2, 3):
            raise ValueError(
                "ConvDecoder needs a NADEDecoder or a decoder of independent pixels with the event "
                "shape [height, width] or [height, width, channels], such as "
                f"codec.BernoulliDecoder([16, 16]), not {type(decoder).__name__} of "
                f"{decoder.event_shape}"
            )
        super().__init__(decoder, name=name)
        self.image_shape = decoder.event_shape.as_list()
        self.flatten_maps = decoder.flatten_maps
        height, width = self.image_shape[:2]
        self.small = [-(-size // 2 ** len(filters)) for size in (height, width)]
        self.first_filters = filters[-1]
        self.dropout = Dropout(hparams.dropout)
        sizes = (*hparams.obs_decoder_fc_hidden_layers, math.prod(self.small) * filters[-1])
        self.mlp, self.activation = MLP(hparams, sizes), keras.layers.Activation(hparams.activation)
        shared = decoder.num_shared_params
        self.shared = keras.layers.Dense(shared) if shared else None
        outputs = [*reversed(filters[:-1]), (decoder.param_size - shared) // (height * width)]
        activations = [hparams.activation] * (len(filters) - 1) + [None]
        self.convolutions = tuple(
            keras.layers.Conv2DTranspose(n, _KERNEL, 2, "same", activation=activation)
            for n, activation in zip(outputs, activations, strict=True)
        )

    def network(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the params of all pixels and those of none, [N, decoder.param_size]."""
        features = self.dropout(features)
        maps = self.flatten_maps(self._maps(features))
        return maps if self.shared is None else tf.concat([maps, self.shared(features)], axis=-1)

    def _maps(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the params in the place of their pixels, [N, *image_shape, P]."""
        x = self.activation(self.mlp(features))
        x = tf.reshape(x, [tf.shape(x)[0], *self.small, self.first_filters])
        for convolution in self.convolutions:
            x = convolution(x)
        shape = self.image_shape
        x = x[:, : shape[0], : shape[1]]
        params = x.shape[-1] // math.prod(shape[2:])
        return tf.reshape(x, [tf.shape(x)[0], *shape, params])
