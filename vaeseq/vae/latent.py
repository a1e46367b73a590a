"""The distribution of z: a Gaussian with independent units, computed from features."""

from typing import NamedTuple, Self

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import MLP, concat, positive_projection
from vaeseq.nn.types import Nest


class Gaussian(NamedTuple):
    """Params of a Gaussian with diagonal covariance, [..., Z]."""

    loc: tf.Tensor  # mean
    scale: tf.Tensor  # standard deviation

    def dist(self) -> tfd.Distribution:
        """Returns the distribution, with event shape [Z]."""
        return tfd.Independent(tfd.Normal(self.loc, self.scale), 1)

    def constant(self) -> "Gaussian":
        """Returns the same params without a gradient."""
        return Gaussian(tf.stop_gradient(self.loc), tf.stop_gradient(self.scale))

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """Maps standard normal noise to a sample (Kingma and Welling 2013, arXiv:1312.6114)."""
        return self.loc + self.scale * noise

    @classmethod
    def standard_like(cls, noise: tf.Tensor) -> Self:
        """Returns a standard normal with the shape of `noise`."""
        return cls(tf.zeros_like(noise), tf.ones_like(noise))


class LatentDecoder(DistModule):
    """Maps features through `hparams.latent_decoder_fc_layers` to a `Gaussian` of z."""

    event_dtype = tf.float32

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(name=name)
        self.event_shape = tf.TensorShape([hparams.latent_size])
        self.mlp = MLP(hparams, (*hparams.latent_decoder_fc_layers, 2 * hparams.latent_size))
        self.projection = positive_projection(hparams.positive_projection)

    def call(self, features: Nest) -> Gaussian:
        """Maps a nest of features [..., D_i] to the mean and standard deviation of z [..., Z]."""
        loc, scale = tf.split(self.mlp(features), 2, axis=-1)
        return Gaussian(loc, self.projection(scale))

    def dist(self, params: Gaussian) -> tfd.Distribution:
        """Returns the Gaussian with these params."""
        return params.dist()


class LatentTransition(LatentDecoder):
    """Maps the features of step t and z_{t-1} to a `Gaussian` of z_t.

    The first layer is a sum of two linear maps, of the features and of z_{t-1}. The first does not
    depend on z_{t-1}: `share` computes it for all steps at once, and only small products remain
    in the loop over time. In place of z_{t-1} there may be whatever else the loop computes.

    Args:
      hparams: the hyperparameters.
      name: the layer's name.
      scale: the variance of the initial map of z_{t-1}, relative to that of other layers. Small by
        default: a chain of z that grows at each step diverges before it learns.
    """

    def __init__(self, hparams: HParams, name: str | None = None, scale: float = 0.01):
        super().__init__(hparams, name=name)
        first, *others = (*hparams.latent_decoder_fc_layers, 2 * hparams.latent_size)
        self.of_features = keras.layers.Dense(first)
        initializer = keras.initializers.VarianceScaling(scale)
        self.of_latents = keras.layers.Dense(first, use_bias=False, kernel_initializer=initializer)
        self.activation = keras.activations.get(hparams.activation if others else None)
        self.mlp = MLP(hparams, others)

    def build(self, input_shape: tuple[tf.TensorShape, tf.TensorShape]) -> None:
        """Creates the weights of the map of z_{t-1}; the other layers create their own."""
        self.of_latents.build(input_shape[1])

    def share(self, features: Nest) -> tf.Tensor:
        """Computes the features' term of the first layer, given a nest of [..., D_i]."""
        return self.of_features(concat(features))

    def call(self, features: Nest) -> Gaussian:
        """Maps the pair (output of `share` at step t, z_{t-1}) to a `Gaussian` of z_t."""
        share, z_before = features
        return super().call(self.activation(share + self.of_latents(z_before)))
