"""What is maximised and what is reported, in nats."""

import math
from typing import Any

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.vae.core import Inference


def elbo(inference: Inference) -> tf.Tensor:
    """The evidence lower bound of each sequence, [B] (Kingma and Welling 2013, arXiv:1312.6114)."""
    return tf.reduce_sum(inference.log_prob - inference.kl, axis=1)


def log_weight(inference: Inference) -> tf.Tensor:
    """The log importance weight log p(x, z) / q(z | x) of each sequence, [B]."""
    return tf.reduce_sum(inference.log_prob - inference.log_ratio, axis=1)


def importance_weighted_bound(log_weights: tf.Tensor) -> tf.Tensor:
    """log (1/K) sum_k w_k of log-weights [K, ...]: [...].

    In expectation a lower bound of log p(x) that does not fall as K grows (Burda, Grosse,
    Salakhutdinov 2015, arXiv:1509.00519). K = 1 is the ELBO's integrand.
    """
    samples = tf.cast(tf.shape(log_weights)[0], log_weights.dtype)
    return tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(samples)


def divergence_strength(hparams: HParams, step: Any) -> tf.Tensor:
    """The weight of the KL term after `step` updates: the schedule of VAE-Seq (2018).

    start^(r^step), with r so that the weight is 1/2 at step `divergence_strength_half`; it begins
    at `divergence_strength_start` and tends to 1.
    """
    if hparams.divergence_strength_start > 0.5:
        return tf.constant(hparams.divergence_strength_start)
    start = math.log(hparams.divergence_strength_start)
    decay = math.log(math.log(0.5) / start) / hparams.divergence_strength_half
    return tf.exp(start * tf.exp(decay * tf.cast(step, tf.float32)))
