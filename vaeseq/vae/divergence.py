"""The KL divergence from prior to posterior: its value, and its gradient."""

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn import replicas
from vaeseq.vae.latent import LatentParams


def log_ratio(posterior: LatentParams, prior: LatentParams, latents: tf.Tensor) -> tf.Tensor:
    """Computes log q(z) - log p(z) of each latent unit in nats, [..., U]."""
    return posterior.unit_log_prob(latents) - prior.unit_log_prob(latents)


def kl(
    hparams: HParams,
    posterior: LatentParams,
    prior: LatentParams,
    latents: tf.Tensor,
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Computes KL(q || p) in nats, [B, T].

    With `hparams.use_monte_carlo_kl` it is the estimate log q(z) - log p(z) at `latents`, otherwise
    the closed form. `hparams.kl_balance` and `hparams.free_bits` change its gradient, never its
    value.

    Args:
      hparams: the hyperparameters.
      posterior: q, of [B, T, Z].
      prior: p, of [B, T, Z].
      latents: z_1:T, sampled from q, [B, T, Z].
      mask: bool [B, T]; the KL is 0 where it is False. None means True everywhere.
    """
    units = _balanced(hparams, posterior, prior, latents)
    if mask is not None:
        units = tf.where(mask[..., None], units, 0.0)
    if hparams.free_bits:
        units = tf.where(_above_free_bits(hparams, units), units, tf.stop_gradient(units))
    return tf.reduce_sum(units, axis=-1)


def _balanced(
    hparams: HParams, posterior: LatentParams, prior: LatentParams, latents: tf.Tensor
) -> tf.Tensor:
    """Computes the KL of each unit; `hparams.kl_balance` divides its gradient between p and q.

    Hafner, Lillicrap, Norouzi, Ba 2020, arXiv:2010.02193. With 1/2, the gradient is the KL's own.
    """

    def unit_kl(q: LatentParams, p: LatentParams, z: tf.Tensor) -> tf.Tensor:
        if hparams.use_monte_carlo_kl:
            return log_ratio(q, p, z)
        return q.unit_kl(p)

    balance = hparams.kl_balance
    if balance == 0.5:
        return unit_kl(posterior, prior, latents)
    to_prior = unit_kl(posterior.constant(), prior, tf.stop_gradient(latents))
    to_posterior = unit_kl(posterior, prior.constant(), latents)
    value = tf.stop_gradient(to_prior)
    balanced = balance * to_prior + (1 - balance) * to_posterior
    return value + 2 * (balanced - tf.stop_gradient(balanced))


def _above_free_bits(hparams: HParams, units: tf.Tensor) -> tf.Tensor:
    """Returns which entries of the KL of each unit [B, T, U] have a gradient.

    Those of a sequence whose KL is above `hparams.free_bits`; or, per dimension, those of a unit
    whose KL is above it on average over the batch. The KL below costs nothing, so minimising the
    loss does not remove it (Kingma et al. 2016, arXiv:1606.04934).
    """
    of_sequences = tf.reduce_sum(units, axis=1, keepdims=True)  # [B, 1, U]
    if hparams.free_bits_per == "sequence":
        above = tf.reduce_sum(of_sequences, axis=2, keepdims=True) > hparams.free_bits
    else:
        batch = tf.cast(tf.shape(units)[0], units.dtype)
        total, batch = replicas.total([tf.reduce_sum(of_sequences, axis=0, keepdims=True), batch])
        above = total > batch * hparams.free_bits
    return tf.broadcast_to(above, tf.shape(units))
