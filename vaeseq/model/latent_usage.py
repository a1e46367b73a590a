"""Measures of how much a model uses the latent variable of the whole sequence."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.model.latent_space import GREEDY, LatentSpaceModel
from vaeseq.nn.types import Nest, Tensor
from vaeseq.vae.latent import Gaussian

_ACTIVE_VARIANCE = 0.01
_ROWS_AT_ONCE = 256


class LatentUsage(NamedTuple):
    """How much a model uses z on a set of sequences."""

    sequence_kl: float  # KL(q(z|x) || p(z)) in nats, mean over sequences
    mutual_information: float  # between x and z ~ q(z|x), in nats; at most log(number of sequences)
    active_units: int  # units of z whose posterior means have a variance of at least 0.01
    reconstruction_accuracy: float  # share of the steps that are reconstructed exactly


def latent_usage(
    model: LatentSpaceModel,
    batches: Iterable[tuple[Nest, Tensor | Sequence[int]]],
    seed: int = 0,
) -> LatentUsage:
    """Returns how much a model uses z on all sequences of a data set.

    Args:
      model: the model.
      batches: pairs of observed sequences, a nest of [B, T, ...], and lengths, int [B].
      seed: of the samples that estimate the mutual information.

    Raises:
      UsageError: if the core has no latent variable for the whole sequence.
    """
    posteriors, correct, steps = [], 0, 0
    for observed, lengths in batches:
        posteriors.append(model.encode(observed, lengths=lengths))
        observed, _ = model.as_sequences(observed)
        size = int(tf.nest.flatten(observed)[0].shape[1])
        decoded = model.decode(posteriors[-1].loc, size, temperature=GREEDY)
        mask = tf.sequence_mask(lengths, size).numpy()
        correct += int(np.sum(_equal_steps(observed, decoded) & mask))
        steps += int(np.sum(mask))
    q = Gaussian(*(tf.concat(parts, 0) for parts in zip(*posteriors, strict=True)))
    kl = tf.reduce_mean(q.dist().kl_divergence(Gaussian.standard_like(q.loc).dist()))
    return LatentUsage(
        float(kl), mutual_information(q, seed), active_units(q), correct / max(steps, 1)
    )


def _equal_steps(observed: Nest, decoded: Nest) -> np.ndarray:
    """Returns which steps of two nests of [B, T, ...] are equal, bool [B, T]."""
    pairs = zip(tf.nest.flatten(observed), tf.nest.flatten(decoded), strict=True)
    equal = [np.equal(x, y).reshape(*x.shape[:2], -1).all(axis=2) for x, y in pairs]
    every: np.ndarray = np.all(equal, axis=0)
    return every


def active_units(posteriors: Gaussian) -> int:
    """Returns the number of units of z whose posterior means vary between sequences.

    A unit is active if their variance is at least 0.01 (Burda, Grosse, Salakhutdinov 2015,
    arXiv:1509.00519). `posteriors` has the shape [N, Z].
    """
    return int(np.sum(np.var(posteriors.loc, axis=0) >= _ACTIVE_VARIANCE))


def mutual_information(posteriors: Gaussian, seed: int = 0) -> float:
    """Returns an estimate of I(x; z) in nats, from one sample z ~ q(z|x) of each of N sequences.

    It is E[log q(z|x) - log q(z)], where q(z) is the mean of q(z|x) over the N sequences (Hoffman
    and Johnson 2016), and at most log N. `posteriors` has the shape [N, Z].
    """
    loc, scale = (tf.cast(x, tf.float64) for x in posteriors)
    z = loc + scale * tf.random.stateless_normal(tf.shape(loc), [seed, 0], dtype=tf.float64)
    # log q(z|x) is linear in (z^2, z, 1), so one matrix product computes it for all pairs.
    precision = 1 / scale**2
    constant = -0.5 * tf.reduce_sum(loc**2 * precision + 2 * tf.math.log(scale), axis=1)
    terms = tf.concat([-0.5 * precision, loc * precision, constant[:, None]], axis=1)
    total = 0.0
    for first in range(0, len(z), _ROWS_AT_ONCE):
        rows = z[first : first + _ROWS_AT_ONCE]
        features = tf.concat([rows**2, rows, tf.ones_like(rows[:, :1])], axis=1)
        log_q = tf.matmul(features, terms, transpose_b=True)  # [rows, N], up to a constant
        own = tf.linalg.diag_part(log_q[:, first : first + _ROWS_AT_ONCE])
        total += float(tf.reduce_sum(own - tf.reduce_logsumexp(log_q, axis=1)))
    return total / len(z) + float(np.log(len(z)))
