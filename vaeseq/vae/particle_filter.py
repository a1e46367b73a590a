"""Particles along whole sequences: a particle filter, and weights without resampling.

A particle is a sample of the latents from the approximate posterior q of a core. Its weight given
x_1:t is p(x_1:t, z_1:t) / q(z_1:t): weighted particles are samples of the true posterior, however
wrong q is, in the limit of many particles. See `vaeseq.vae.particles` for shapes.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq.nn import masked
from vaeseq.nn.sequences import repeat_rows, scan
from vaeseq.nn.types import Nest
from vaeseq.vae import divergence, particles
from vaeseq.vae.core import VAECore
from vaeseq.vae.latent import LatentParams


class Tracks(NamedTuple):
    """What K particles of each of B sequences did at T steps; in nats.

    After the end of a shorter sequence, its weights stay as they are.
    """

    log_prob: tf.Tensor  # log p(x_t | z_1:t, x_1:t-1, c_1:t) [B * K, T]
    posterior: LatentParams  # q(z_t | ...) [B * K, T, Z]
    prior: LatentParams  # p(z_t | ...) [B * K, T, Z]
    latents: tf.Tensor  # z_t, sampled from `posterior` [B * K, T, Z]
    increments: tf.Tensor  # log of the mean weight, which estimates log p(x_t | x_1:t-1) [B, T]
    log_weights: tf.Tensor  # of the particles given x_1:t, normalised [B, T, K]
    chosen: tf.Tensor  # which particles go on after the step, int32 [B, T, K]


def follow(
    core: VAECore,
    contexts: Nest,
    observed: Nest,
    evidence: tf.Tensor | None,
    state: Nest,
    noise: tf.Tensor,
    uniforms: tf.Tensor,
    num_particles: int,
    lengths: tf.Tensor | None = None,
    strength: tf.Tensor | float = 1.0,
) -> Tracks:
    """Runs a particle filter whose proposals are the approximate posterior.

    The particles are resampled after each step at which few are effective, but the last.

    Args:
      core: the core.
      contexts: nest of [B, T, C_i].
      observed: nest of [B, T, *event_shape].
      evidence: what `core.encode` returned, [B, T, D].
      state: the core's state before the first step, [B, ...].
      noise: that of the latents, [B * K, T, Z]; the rows of a sequence follow each other.
      uniforms: numbers from 0 to 1, [B, T], for the resampling.
      num_particles: K.
      lengths: [B] int32 >= 1; None means T.
      strength: the exponent of p(z) / q(z) in the weights.
    """
    K = num_particles
    shared, own_state = core.share(contexts, state, evidence)
    rows, time = tf.unstack(tf.shape(uniforms))
    ends = tf.broadcast_to(time if lengths is None else lengths, [rows])
    counts, goes_on = tf.sequence_mask(ends, time), tf.sequence_mask(ends - 1, time)
    index = tf.tile(tf.range(K), [rows])

    def step(inputs: Any, before: tuple[Nest, tf.Tensor]) -> tuple[Tracks, tuple[Nest, tf.Tensor]]:
        (*of_rows, noise, uniforms, counts, goes_on) = inputs
        shared, observed = repeat_rows(tuple(of_rows), K)
        own_state, log_weights = before
        step, own_state = core.step_shared(shared, own_state, noise)
        z = step.posterior, step.prior, step.latents
        log_prob = masked.log_prob(core.decoder, step.obs_params, observed)
        log_weight = log_prob - strength * tf.reduce_sum(divergence.log_ratio(*z), axis=-1)
        log_weight = tf.where(counts[:, None], tf.reshape(log_weight, [-1, K]), 0.0)
        total, log_weights = particles.normalise(log_weights + log_weight)
        after, (own_state, chosen) = particles.resample_if_few(
            log_weights, uniforms, (own_state, index), goes_on
        )
        tracks = Tracks(log_prob, *z, total, log_weights, tf.reshape(chosen, [-1, K]))
        return tracks, (own_state, after)

    before = repeat_rows(own_state, K), tf.fill([rows, K], particles.equal(K))
    inputs = shared, observed, noise, uniforms, counts, goes_on
    tracks, _ = scan(step, inputs, before)
    return tracks._replace(
        log_prob=tf.where(tf.repeat(counts, K, axis=0), tracks.log_prob, 0.0),
        increments=tf.where(counts, tracks.increments, 0.0),
    )


def weigh(
    core: VAECore,
    contexts: Nest,
    observed: Nest,
    evidence: tf.Tensor | None,
    state: Nest,
    noise: tf.Tensor,
    num_particles: int,
    lengths: tf.Tensor | None = None,
) -> Tracks:
    """Weighs samples of all latents, without resampling; the arguments are those of `follow`."""
    K = num_particles
    inference = core.infer(
        contexts, observed, state, noise, lengths, evidence, num_particles=num_particles
    )
    # Sums over long sequences need the precision, and so do the differences between them.
    of_steps = tf.cast(inference.log_prob - inference.log_ratio, tf.float64)
    time = tf.shape(of_steps)[1]
    log_weights = tf.reshape(tf.cumsum(of_steps, axis=1), [-1, K, time])
    totals = tf.reduce_logsumexp(log_weights, axis=1)  # [B, T]
    log_weights = tf.cast(log_weights - totals[:, None], tf.float32)
    first = totals[:, :1] - tf.cast(tf.math.log(float(K)), tf.float64)
    increments = tf.concat([first, totals[:, 1:] - totals[:, :-1]], axis=1)
    log_weights = tf.transpose(log_weights, [0, 2, 1])
    steps = inference.steps
    return Tracks(
        inference.log_prob,
        steps.posterior,
        steps.prior,
        steps.latents,
        tf.cast(increments, tf.float32),
        log_weights,
        tf.zeros_like(log_weights, tf.int32) + tf.range(K),
    )
