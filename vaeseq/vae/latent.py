"""The Gaussian DistModule of z."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import MLP, concat, positive_projection


class Gaussian(NamedTuple):
    """Params of a diagonal Gaussian: mean and deviation, [..., Z]."""

    loc: tf.Tensor
    scale: tf.Tensor

    def dist(self) -> tfd.Distribution:
        """The distribution with these params."""
        return tfd.Independent(tfd.Normal(self.loc, self.scale), 1)

    def constant(self) -> "Gaussian":
        """The same, without a gradient."""
        return Gaussian(tf.stop_gradient(self.loc), tf.stop_gradient(self.scale))

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


class LatentTransition(LatentDecoder):
    """Features of t and z_{t-1} to a `Gaussian` of z_t.

    The first layer is a sum of two linear maps. That of the features does not wait for z_{t-1}, so
    `share` takes it for all steps at once and only small products are left to step through time.
    """

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(hparams, name=name)
        first, *others = (*hparams.latent_decoder_fc_layers, 2 * hparams.latent_size)
        self.of_features = keras.layers.Dense(first)
        # Small at first: a chain of z that grew from step to step would run away before it learns.
        small = keras.initializers.VarianceScaling(0.01)
        self.of_latents = keras.layers.Dense(first, use_bias=False, kernel_initializer=small)
        self.activation = keras.activations.get(hparams.activation if others else None)
        self.mlp = MLP(hparams, others)

    def build(self, input_shape: Any) -> None:
        """Creates the weights of the map of z_{t-1}; the other layers build themselves."""
        self.of_latents.build(input_shape[1])

    def share(self, features: Any) -> tf.Tensor:
        """A nest of features [..., D_i] to their share of the first layer."""
        return self.of_features(concat(features))

    def call(self, features: tuple[tf.Tensor, tf.Tensor]) -> Gaussian:
        """The share of t's features, and z_{t-1}, to the mean and deviation of z_t."""
        share, z_before = features
        return super().call(self.activation(share + self.of_latents(z_before)))
