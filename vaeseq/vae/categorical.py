"""Categorical latents: z is G one-hot variables with C classes each, one after another.

For each variable, a network gives logits l, and with u = 0.01 the probabilities are

    p = (1 - u) softmax(l) + u / C

The uniform part bounds log p, and so the KL, and no class dies for want of samples. With Gumbel
noise g = -log(-log(uniform)), a sample is the one-hot vector of argmax(log p + g), whose
distribution is p. It has the straight-through gradient: forward it is one-hot, backward it is p,

    z = one_hot + p - stop_gradient(p)

which is the gradient of the expectation for what is linear in z, and biased for the rest. The KL of
two such distributions is a sum, so it is exact.

Sources: Hafner, Lillicrap, Norouzi, Ba, "Mastering Atari with Discrete World Models", 2020,
arXiv:2010.02193; the uniform part: Hafner, Pasukonis, Ba, Lillicrap, "Mastering Diverse Domains
through World Models", 2023, arXiv:2301.04104; the gradient: Bengio, Léonard, Courville 2013,
arXiv:1308.3432.
"""

from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.types import Size

UNIFORM_SHARE = 0.01
_SURE = 1e3  # noise that decides, whatever the probabilities are
_LEAST_UNIFORM = float(np.finfo(np.float32).tiny)  # whose logarithm is finite


class Categorical(NamedTuple):
    """Params of G independent one-hot variables with C classes; see `vaeseq.vae.latent`.

    z [..., G * C] has the variables one after another.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> hparams = vaeseq.HParams(latent_kind="categorical", latent_groups=2, latent_classes=3)
      >>> params = vaeseq.LatentDecoder(hparams)(tf.zeros([4, 10]))
      >>> params.reparameterize(tf.zeros([4, 6])).shape  # two one-hot variables
      TensorShape([4, 6])
    """

    probs: tf.Tensor  # [..., G, C]

    @classmethod
    def from_logits(cls, logits: tf.Tensor) -> Self:
        """Returns softmax(logits) [..., G, C] with a share of 1% of the uniform distribution."""
        uniform = 1 / logits.shape[-1]
        return cls((1 - UNIFORM_SHARE) * tf.nn.softmax(logits) + UNIFORM_SHARE * uniform)

    def dist(self) -> tfd.Distribution:
        """Returns the distribution, with event shape [G * C]."""
        variables = tfd.OneHotCategorical(probs=self.probs, dtype=self.probs.dtype)
        return tfd.TransformedDistribution(
            tfd.Independent(variables, 1),
            tfb.Reshape(event_shape_in=self.probs.shape[-2:], event_shape_out=[-1]),
        )

    def constant(self) -> "Categorical":
        """Returns the same params without a gradient."""
        return Categorical(tf.stop_gradient(self.probs))

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """Maps Gumbel noise [..., G * C] to a sample with the straight-through gradient.

        Noise of 0 gives the most probable classes.
        """
        scores = tf.math.log(self.probs) + self._by_variable(noise)
        chosen = tf.one_hot(tf.argmax(scores, axis=-1), self.probs.shape[-1])
        return _joined(chosen + (self.probs - tf.stop_gradient(self.probs)))

    def noise_behind(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns noise that `reparameterize` maps to z, [..., G * C]; one of many."""
        return _SURE * latents

    def unit_log_prob(self, latents: tf.Tensor) -> tf.Tensor:
        """Computes the log-probability of each variable of z in nats, [..., G].

        It is linear in z, so the straight-through gradient of its expectation has no bias.
        """
        return tf.reduce_sum(self._by_variable(latents) * tf.math.log(self.probs), axis=-1)

    def unit_kl(self, prior: Self) -> tf.Tensor:
        """Computes KL(self || prior) of each variable in nats, [..., G]."""
        ratio = tf.math.log(self.probs) - tf.math.log(prior.probs)
        return tf.reduce_sum(self.probs * ratio, axis=-1)

    def _by_variable(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [..., G * C] as [..., G, C]."""
        return by_variable(x, self.probs.shape[-1])


class CategoricalKind:
    """`latent_groups` variables with `latent_classes` classes; see `vaeseq.vae.latent.LatentKind`.

    Args:
      hparams: the hyperparameters.
    """

    def __init__(self, hparams: HParams):
        self.num_classes = hparams.latent_classes
        self.size = hparams.latent_groups * hparams.latent_classes
        self.num_outputs = self.size

    def from_outputs(self, outputs: tf.Tensor, base: Categorical | None = None) -> Categorical:
        """Maps logits [..., G * C] to probabilities; with `base`, they are added to its own."""
        logits = by_variable(outputs, self.num_classes)
        return Categorical.from_logits(logits if base is None else tf.math.log(base.probs) + logits)

    def from_moments(self, mean: np.ndarray, stddev: np.ndarray) -> Categorical:
        """Returns the distribution whose probabilities are a mean, an array [..., G * C]."""
        return Categorical(mean.reshape([*mean.shape[:-1], -1, self.num_classes]))

    def standard_like(self, noise: tf.Tensor) -> Categorical:
        """Returns uniform distributions with the shape of `noise`."""
        return Categorical.from_logits(tf.zeros_like(by_variable(noise, self.num_classes)))

    def noise(
        self,
        shape: tf.Tensor | list[Size],
        seed: tf.Tensor,
        temperature: tf.Tensor | float | None = None,
    ) -> tf.Tensor:
        """Returns Gumbel noise, scaled by the temperature.

        argmax(log p + temperature * g) = argmax(log p / temperature + g).
        """
        uniform = tf.random.stateless_uniform(shape, seed, minval=_LEAST_UNIFORM)
        noise = -tf.math.log(-tf.math.log(uniform))
        return noise if temperature is None else noise * temperature


def by_variable(x: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns [..., G * C] as [..., G, C]."""
    return _with_inner(x, 1, [x.shape[-1] // num_classes, num_classes])


def _joined(x: tf.Tensor) -> tf.Tensor:
    """Returns [..., G, C] as [..., G * C]."""
    return _with_inner(x, 2, [x.shape[-2] * x.shape[-1]])


def _with_inner(x: tf.Tensor, num_replaced: int, inner: list[int]) -> tf.Tensor:
    """Reshapes the last axes of a tensor; all sizes that are known stay known."""
    outer = len(x.shape) - num_replaced
    reshaped = tf.reshape(x, tf.concat([tf.shape(x)[:outer], inner], axis=0))
    return tf.ensure_shape(reshaped, [*x.shape[:outer], *inner])
