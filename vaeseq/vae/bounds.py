"""Bounds of log p(x) that training maximizes: ELBO, IWAE and FIVO, and estimators of gradients.

With z_1, ..., z_K sampled from q(z | x) and the weights w_k = p(x, z_k) / q(z_k | x):

* elbo: the mean of log p(x | z_k) - KL (Kingma and Welling 2013, arXiv:1312.6114).
* iwae: log mean_k w_k of whole sequences (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519).
* fivo: sum_t log mean_k w_tk. The weights are carried from step to step until the effective sample
  size falls below K / 2; then the particles are resampled (Maddison et al. 2017, arXiv:1705.09279).
  The gradient of the resampling itself is left out, as in the paper.

Estimators of the gradient with respect to the parameters of q (Theta are those of p):

* plain: reparameterization of z in all terms; if z is categorical, its straight-through gradient.
* stl: without the score, the gradient of log q(z) at fixed z, whose expectation is 0. The gradient
  then does not vary where q is the true posterior (Roeder, Wu, Duvenaud 2017, arXiv:1703.09194).
* dreg: unbiased for iwae, and its signal does not vanish as K grows (Tucker, Lawson, Gu, Maddison
  2018, arXiv:1810.04152). For elbo it is the same as stl.

Both rest on the path from q through z to the bound, which has the whole gradient of an expectation
and vanishes where q is the true posterior. The straight-through gradient of categorical latents is
no derivative of z, and its path has neither property. So they have plain alone.

All bounds are the ELBO if there is one particle, and exact if the core has no latents.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.nn.types import Nest
from vaeseq.vae import divergence, particle_filter, particles
from vaeseq.vae.core import Inference, VAECore

Strength: TypeAlias = tf.Tensor | float


class Replay(NamedTuple):
    """The inference of the same sequences with given latents, for estimators of gradients."""

    infer: Callable[[tf.Tensor], Inference]  # takes z_1:T [B * K, T, Z]
    lengths: tf.Tensor | None = None  # [B * K]

    def at_fixed(self, latents: tf.Tensor) -> tuple[Inference, tf.Tensor]:
        """Returns the inference at latents without a gradient, and log q(z) there, [B * K, T].

        The gradient of the second is the score. The posterior of z_t may depend on z_{t-1}, so it
        is computed again: its gradient must not reach z_{t-1} either.
        """
        z = tf.stop_gradient(latents)
        fixed = self.infer(z)
        log_q = tf.reduce_sum(fixed.steps.posterior.unit_log_prob(z), axis=-1)
        if self.lengths is not None:
            mask = tf.sequence_mask(self.lengths, tf.shape(log_q)[1])
            log_q = tf.where(mask, log_q, 0.0)
        return fixed, log_q


class Bound(NamedTuple):
    """A bound of log p(x) for each sequence, in nats.

    log_prob and kl are means over the particles. With fivo, these are the resampled ones, and the
    mean of log_prob - kl is a lower bound of the bound, but not the ELBO of q.
    """

    log_prob: tf.Tensor  # [B, T]
    kl: tf.Tensor  # [B, T]
    bound: tf.Tensor | None = None  # [B]; None for the ELBO, which is log_prob - kl
    effective_sample_size: tf.Tensor | None = None  # [B], the mean over the steps with fivo


def num_particles(core: VAECore) -> int:
    """Returns K; 1 for a core without latents, whose likelihood is exact."""
    return core.hparams.num_particles if core.latent_size else 1


def is_elbo(core: VAECore) -> bool:
    """Returns whether the bound is the ELBO, as all bounds are with one particle."""
    return core.hparams.objective == "elbo" or num_particles(core) == 1


def check(core: VAECore) -> None:
    """Checks that the hyperparameters of a core's objective do not exclude each other.

    Raises:
      UsageError: if they do.
    """
    hparams = core.hparams
    objective, estimator = hparams.objective, hparams.estimator
    if objective == "fivo" and estimator != "plain":
        raise UsageError(
            f"hparams: estimator={estimator} is for objective=elbo and objective=iwae; "
            "objective=fivo has only estimator=plain"
        )
    if core.latent_size == 0:
        return
    if (not is_elbo(core) or estimator != "plain") and (
        hparams.kl_balance != 0.5 or hparams.free_bits
    ):
        raise UsageError(
            "hparams: kl_balance and free_bits change the gradient of the KL, which only "
            "objective=elbo with estimator=plain has; set kl_balance=0.5,free_bits=0 for "
            f"objective={objective},estimator={estimator}"
        )
    if estimator != "plain" and hparams.latent_kind == "categorical":
        raise UsageError(
            f"hparams: estimator={estimator} needs latents that are differentiable functions of "
            "their noise, as with latent_kind=gaussian; latent_kind=categorical, whose gradient "
            "is straight-through, has only estimator=plain"
        )
    uses_batch_norm = hparams.vae_type == "SEQVAE" and hparams.seqvae_batch_norm
    if objective == "fivo" and not is_elbo(core) and uses_batch_norm:
        raise UsageError(
            "hparams: seqvae_batch_norm is for objective=elbo and objective=iwae, not for fivo, "
            "which infers step by step"
        )


def elbo(core: VAECore, inference: Inference, replay: Replay | None = None) -> Bound:
    """Computes the terms of the ELBO, means over the particles.

    Args:
      core: the core.
      inference: of B * K rows.
      replay: for the gradient of `hparams.estimator`; None is the plain one.
    """
    kl = inference.kl
    if replay is not None:
        _, score = replay.at_fixed(inference.steps.latents)
        kl = _with_gradient(kl, inference.log_ratio - score)
    K = num_particles(core)
    return Bound(_mean(inference.log_prob, K), _mean(kl, K))


def iwae(
    core: VAECore, inference: Inference, strength: Strength, replay: Replay | None = None
) -> Bound:
    """Computes log mean_k w_k of whole sequences.

    Args:
      core: the core.
      inference: of B * K rows.
      strength: the exponent of p(z) / q(z) in the weights; 1 is a bound of log p(x).
      replay: for the gradient of `hparams.estimator`; None is the plain one.
    """
    K = num_particles(core)

    def of_sequences(log_prob: tf.Tensor, log_ratio: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.reduce_sum(log_prob - strength * log_ratio, axis=1), [-1, K])

    log_weights = of_sequences(inference.log_prob, inference.log_ratio)
    total, normalised = particles.normalise(log_weights)
    bound = total + particles.equal(K)
    if replay is not None:
        fixed, score = replay.at_fixed(inference.steps.latents)
        score = strength * tf.reshape(tf.reduce_sum(score, axis=1), [-1, K])
        weights = tf.stop_gradient(tf.exp(normalised))
        if core.hparams.estimator == "stl":
            surrogate = weights * (log_weights + score)
        else:
            log_fixed = of_sequences(fixed.log_prob, fixed.log_ratio)
            of_theta = log_fixed + score  # log p(x, z) at fixed z
            of_path = log_weights - log_fixed  # through z alone
            squared = (1 - strength) * weights + strength * weights**2
            surrogate = weights * of_theta + squared * of_path
        bound = _with_gradient(bound, tf.reduce_sum(surrogate, axis=1))
    size = particles.effective_sample_size(log_weights)
    return Bound(_mean(inference.log_prob, K), _mean(inference.kl, K), bound, size)


def _with_gradient(value: tf.Tensor, surrogate: tf.Tensor) -> tf.Tensor:
    """Returns a value with the gradient of something else."""
    return tf.stop_gradient(value) + (surrogate - tf.stop_gradient(surrogate))


def _mean(x: tf.Tensor, K: int) -> tf.Tensor:
    """Returns the means over the particles of each sequence: [B, T] of [B * K, T]."""
    return x if K == 1 else tf.reduce_mean(tf.reshape(x, [-1, K, tf.shape(x)[1]]), axis=1)


def fivo(
    core: VAECore,
    contexts: Nest,
    observed: Nest,
    evidence: tf.Tensor | None,
    state: Nest,
    noise: tf.Tensor,
    uniforms: tf.Tensor,
    lengths: tf.Tensor | None = None,
    strength: Strength = 1.0,
) -> Bound:
    """Computes the bound of a particle filter whose proposals are the posterior.

    Args:
      core: the core.
      contexts: nest of [B, T, C_i].
      observed: nest of [B, T, *event_shape].
      evidence: what `core.encode` returned, [B, T, D].
      state: the core's state before the first step, [B, ...].
      noise: that of the latents, [B * K, T, Z]; the rows of a sequence follow each other.
      uniforms: numbers from 0 to 1, [B, T], for the resampling.
      lengths: [B] int32 >= 1; None means T.
      strength: the exponent of p(z) / q(z) in the weights; 1 is a bound of log p(x).

    Raises:
      UsageError: if the decoder adds losses.
    """
    K, num_losses = num_particles(core), len(core.decoder.losses)
    tracks = particle_filter.follow(
        core, contexts, observed, evidence, state, noise, uniforms, K, lengths, strength
    )
    if len(core.decoder.losses) > num_losses:
        raise UsageError(
            "objective=fivo computes the decoder in a loop over time, where its add_loss and "
            "activity regularizers are not supported; remove them, or use objective=iwae"
        )
    rows, time = tf.unstack(tf.shape(uniforms))
    mask = tf.sequence_mask(time if lengths is None else lengths, time)
    mask = tf.broadcast_to(mask, [rows, time])
    of_particles = tf.repeat(mask, K, axis=0)
    kl = divergence.kl(core.hparams, tracks.posterior, tracks.prior, tracks.latents, of_particles)
    steps = tf.cast(mask, tf.float32)
    sizes = particles.effective_sample_size(tracks.log_weights)
    return Bound(
        _mean(tracks.log_prob, K),
        _mean(kl, K),
        tf.reduce_sum(tracks.increments, axis=1),
        tf.reduce_sum(sizes * steps, axis=1) / tf.reduce_sum(steps, axis=1),
    )
