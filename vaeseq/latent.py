"""The Gaussian DistModule of z."""

from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.dist_module import DistModule
from vaeseq.hparams import HParams
from vaeseq.networks import MLP, positive_projection


class Gaussian(NamedTuple):
    """Params of a diagonal Gaussian: mean and deviation, [..., Z]."""

    loc: tf.Tensor
    scale: tf.Tensor

    def dist(self) -> tfd.Distribution:
        """The distribution with these params."""
        return tfd.Independent(tfd.Normal(self.loc, self.scale), 1)

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise to a draw (Kingma and Welling 2013, arXiv:1312.6114)."""
        return self.loc + self.scale * noise

    @classmethod
    def standard_like(cls, noise: tf.Tensor) -> "Gaussian":
        """The standard normal of the shape of `noise`."""
        return cls(tf.zeros_like(noise), tf.ones_like(noise))


class LatentDecoder(DistModule):
    """Features, through `hparams.latent_decoder_fc_layers`, to a `Gaussian` of z."""

    event_dtype = tf.float32

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(name=name)
        self.event_shape = tf.TensorShape([hparams.latent_size])
        self.mlp = MLP(hparams, (*hparams.latent_decoder_fc_layers, 2 * hparams.latent_size))
        self.projection = positive_projection(hparams.positive_projection)

    def call(self, features: Any) -> Gaussian:
        """A nest of features [..., D_i] to the mean and deviation of z."""
        loc, scale = tf.split(self.mlp(features), 2, axis=-1)
        return Gaussian(loc, self.projection(scale))

    def dist(self, params: Gaussian) -> tfd.Distribution:
        """The diagonal Gaussian with these params."""
        return params.dist()
