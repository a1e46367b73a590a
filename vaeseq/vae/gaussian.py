"""Gaussian latents: z has independent normal units."""

from typing import Any, NamedTuple, Self

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.mlp import positive_projection
from vaeseq.nn.types import Size


class Gaussian(NamedTuple):
    """Params of a Gaussian with diagonal covariance, [..., Z]; see `vaeseq.vae.latent`.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> posterior = vaeseq.Gaussian(tf.ones([1, 2]), tf.ones([1, 2]))
      >>> posterior.reparameterize(tf.zeros([1, 2])).numpy().tolist()
      [[1.0, 1.0]]
      >>> prior = vaeseq.Gaussian(tf.zeros([1, 2]), tf.ones([1, 2]))
      >>> posterior.unit_kl(prior).numpy().tolist()
      [[0.5, 0.5]]
    """

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

    def noise_behind(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns the noise that `reparameterize` maps to z, [..., Z]."""
        return (latents - self.loc) / self.scale

    def unit_log_prob(self, latents: tf.Tensor) -> tf.Tensor:
        """Computes the log-density of each unit of z in nats, [..., Z]."""
        return tfd.Normal(*self).log_prob(latents)

    def unit_kl(self, prior: Self) -> tf.Tensor:
        """Computes KL(self || prior) of each unit in nats, [..., Z]."""
        return tfd.Normal(*self).kl_divergence(tfd.Normal(*prior))

    @classmethod
    def standard_like(cls, noise: tf.Tensor) -> Self:
        """Returns a standard normal with the shape of `noise`."""
        return cls(tf.zeros_like(noise), tf.ones_like(noise))


class GaussianKind:
    """Gaussian latents with `hparams.latent_size` units; see `vaeseq.vae.latent.LatentKind`."""

    def __init__(self, hparams: HParams):
        self.size = hparams.latent_size
        self.num_outputs = 2 * self.size
        self._positive = positive_projection(hparams.positive_projection)

    def from_outputs(self, outputs: tf.Tensor, base: Gaussian | None = None) -> Gaussian:
        """Maps [..., 2 Z] to mean and deviation; with `base`, the mean is added to its own."""
        loc, scale = tf.split(outputs, 2, axis=-1)
        return Gaussian(loc if base is None else base.loc + loc, self._positive(scale))

    def from_moments(self, mean: Any, stddev: Any) -> Gaussian:
        """Returns the Gaussian with a mean and a standard deviation, [..., Z]."""
        return Gaussian(mean, stddev)

    def standard_like(self, noise: tf.Tensor) -> Gaussian:
        """Returns a standard normal with the shape of `noise`."""
        return Gaussian.standard_like(noise)

    def noise(
        self,
        shape: tf.Tensor | list[Size],
        seed: tf.Tensor,
        temperature: tf.Tensor | float | None = None,
    ) -> tf.Tensor:
        """Returns normal noise, whose variance is the temperature.

        N(m, s^2)^(1 / temperature) is proportional to N(m, temperature * s^2).
        """
        noise = tf.random.stateless_normal(shape, seed)
        return noise if temperature is None else noise * tf.sqrt(temperature)
