"""Particles: several samples of the latents of each sequence, with weights, and their resampling.

B sequences have K particles each. What belongs to particles has B * K rows, and those of a sequence
follow each other; their log weights are [B, K].

Resampling is systematic (Kitagawa 1996): one uniform number u for each sequence, and the particles
at the points (u + 0 .. K - 1) / K of the cumulative weights. A particle of weight w is chosen K w
times in expectation, as in multinomial resampling, so estimates of p(x) stay unbiased; but here it
is always chosen floor(K w) or ceil(K w) times, so the estimates vary less.
"""

from typing import TypeVar

import numpy as np
import tensorflow as tf

from vaeseq.nn.sequences import scan
from vaeseq.nn.types import Size

Particles = TypeVar("Particles")

_BELOW_1 = float(np.nextafter(np.float32(1), np.float32(0)))


def normalise(log_weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the log of the sum of weights, [B], and the log weights divided by it, [B, K]."""
    total = tf.reduce_logsumexp(log_weights, axis=1)
    return total, log_weights - total[:, None]


def effective_sample_size(log_weights: tf.Tensor) -> tf.Tensor:
    """Computes (sum_k w_k)^2 / sum_k w_k^2 from log weights [..., K]; returns [...], from 1 to K.

    It is K if all weights are equal (Kong, Liu, Wong 1994).
    """
    total = tf.reduce_logsumexp(log_weights, axis=-1)
    return tf.exp(2 * total - tf.reduce_logsumexp(2 * log_weights, axis=-1))


def systematic(log_weights: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Chooses K particles in proportion to their weights.

    Args:
      log_weights: [B, K].
      uniforms: numbers from 0 to 1, [B].

    Returns:
      The indices of the chosen particles, ascending, int32 [B, K].
    """
    K = log_weights.shape[1]
    cumulative = tf.cumsum(tf.exp(normalise(log_weights)[1]), axis=1)
    cumulative /= cumulative[:, -1:]  # rounding must not leave a point behind the last sum
    points = (uniforms[:, None] + tf.range(K, dtype=uniforms.dtype)) / K
    chosen = tf.searchsorted(cumulative, tf.minimum(points, _BELOW_1), side="right")
    return tf.minimum(chosen, K - 1)  # K is found if weights are NaN; the bound is NaN as well


def take(particles: Particles, chosen: tf.Tensor) -> Particles:
    """Returns the chosen particles, int32 [B, K], of a nest of [B * K, ...]."""
    K = chosen.shape[1]
    rows = tf.reshape(chosen + K * tf.range(tf.shape(chosen)[0])[:, None], [-1])
    taken: Particles = tf.nest.map_structure(
        lambda x: tf.ensure_shape(tf.gather(x, rows), x.shape), particles
    )
    return taken


def resample_if_few(
    log_weights: tf.Tensor,
    uniforms: tf.Tensor,
    particles: Particles,
    allowed: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Particles]:
    """Resamples the sequences whose effective sample size is below K / 2.

    Args:
      log_weights: normalised, [B, K].
      uniforms: numbers from 0 to 1, [B].
      particles: nest of [B * K, ...].
      allowed: bool [B], which sequences may be resampled; None means all.

    Returns:
      The log weights, which are equal where particles were resampled, and the particles.
    """
    K = log_weights.shape[1]
    if K == 1:
        return log_weights, particles
    weights = tf.stop_gradient(log_weights)
    few = effective_sample_size(weights) < K / 2
    few = (few if allowed is None else few & allowed)[:, None]
    chosen = tf.where(few, systematic(weights, uniforms), tf.range(K))
    return tf.where(few, equal(K), log_weights), take(particles, chosen)


def equal(K: Size) -> tf.Tensor:
    """Returns the log weight of each of K particles if all are equal and normalised."""
    return -tf.math.log(tf.cast(K, tf.float32))


def lineage(chosen: tf.Tensor) -> tf.Tensor:
    """Returns which particle of each step every particle of the last step comes from.

    Args:
      chosen: the particles that went on after each step, int32 [B, T, K].

    Returns:
      Indices of particles, int32 [B, T, K].
    """

    def step(chosen: tf.Tensor, later: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ancestors = tf.gather(chosen, later, batch_dims=1)
        return ancestors, ancestors

    themselves = tf.zeros_like(chosen[:, 0]) + tf.range(chosen.shape[2])
    return tf.reverse(scan(step, tf.reverse(chosen, [1]), themselves)[0], [1])


def ancestral_sample_size(log_weights: tf.Tensor, ancestors: tf.Tensor) -> tf.Tensor:
    """Computes the effective sample size at each step, where equal ancestors count as one.

    Args:
      log_weights: of the particles of the last step, normalised, [B, K].
      ancestors: those of these particles, from `lineage`, int32 [B, T, K].

    Returns:
      From 1 to K, [B, T]. It does not fall from one step to the next.
    """
    rows, time, K = tf.unstack(tf.shape(ancestors))
    of_steps = tf.reshape(tf.range(rows * time), [rows, time, 1])
    weights = tf.broadcast_to(tf.exp(log_weights)[:, None], [rows, time, K])
    of_ancestors = tf.math.unsorted_segment_sum(weights, ancestors + K * of_steps, rows * time * K)
    return 1 / tf.reduce_sum(tf.reshape(of_ancestors, [rows, time, K]) ** 2, axis=-1)


def moments(log_weights: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation [..., Z] of values [..., K, Z] with weights [..., K]."""
    weights = tf.exp(log_weights)[..., None]
    mean = tf.reduce_sum(weights * values, axis=-2, keepdims=True)
    variance = tf.reduce_sum(weights * (values - mean) ** 2, axis=-2)
    return mean[..., 0, :], tf.sqrt(variance)
