"""The KL divergence between posterior and prior, and where its gradient goes."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn import replicas
from vaeseq.vae.latent import Gaussian


def log_ratio(posterior: Gaussian, prior: Gaussian, latents: tf.Tensor) -> tf.Tensor:
    """log q(z) - log p(z) of each unit: [..., Z]."""
    q, p = tfd.Normal(*posterior), tfd.Normal(*prior)
    return q.log_prob(latents) - p.log_prob(latents)


def kl(
    hparams: HParams,
    posterior: Gaussian,
    prior: Gaussian,
    latents: tf.Tensor,
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """KL(q || p) in nats, [B, T]; 0 where `mask` [B, T] is.

    Its value is always that of the divergence, or of the sample with `hparams.use_monte_carlo_kl`;
    `hparams.kl_balance` and `hparams.free_bits` change its gradient alone.

    Args:
      hparams: the hyperparameters.
      posterior: q, [B, T, Z].
      prior: p, [B, T, Z].
      latents: z_1:T, drawn from q, [B, T, Z].
      mask: which steps count; None counts all.
    """
    units = _balanced(hparams, posterior, prior, latents)
    if mask is not None:
        units = tf.where(mask[..., None], units, 0.0)
    if hparams.free_bits:
        units = tf.where(_is_paid(hparams, units), units, tf.stop_gradient(units))
    return tf.reduce_sum(units, axis=-1)


def _balanced(
    hparams: HParams, posterior: Gaussian, prior: Gaussian, latents: tf.Tensor
) -> tf.Tensor:
    """The KL of each unit, whose gradient `hparams.kl_balance` shares out between p and q.

    Hafner, Lillicrap, Norouzi, Ba 2020, arXiv:2010.02193; 1/2 is the KL's own gradient.
    """

    def of_units(q: Gaussian, p: Gaussian) -> tf.Tensor:
        if hparams.use_monte_carlo_kl:
            return log_ratio(q, p, latents)
        return tfd.Normal(*q).kl_divergence(tfd.Normal(*p))

    balance = hparams.kl_balance
    if balance == 0.5:
        return of_units(posterior, prior)
    to_prior = of_units(posterior.constant(), prior)
    to_posterior = of_units(posterior, prior.constant())
    value = tf.stop_gradient(to_prior)
    balanced = balance * to_prior + (1 - balance) * to_posterior
    return value + 2 * (balanced - tf.stop_gradient(balanced))


def _is_paid(hparams: HParams, units: tf.Tensor) -> tf.Tensor:
    """Which of the KL of latent units [B, T, Z] is above the free bits, so that it has a gradient.

    Free are so many nats of each sequence in all, or of each unit on average over the batch, so
    that z need not be given up to save them (Kingma et al. 2016, arXiv:1606.04934).
    """
    of_sequences = tf.reduce_sum(units, axis=1, keepdims=True)
    if hparams.free_bits_per == "sequence":
        paid = tf.reduce_sum(of_sequences, axis=2, keepdims=True) > hparams.free_bits
    else:
        rows = tf.cast(tf.shape(units)[0], units.dtype)
        total, rows = replicas.total([tf.reduce_sum(of_sequences, axis=0, keepdims=True), rows])
        paid = total > rows * hparams.free_bits
    return tf.broadcast_to(paid, tf.shape(units))
