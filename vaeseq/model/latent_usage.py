"""How much sequences use the latent variable of the whole sequence."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.model.latent_space import GREEDY
from vaeseq.vae.latent import Gaussian

_ACTIVE = 0.01  # the variance of posterior means from which a unit is active
_ROWS_AT_ONCE = 256


class LatentUsage(NamedTuple):
    """How much sequences use their z."""

    sequence_kl: float  # KL(q(z|x) || p(z)), mean over sequences, in nats
    mutual_information: float  # between x and z ~ q(z|x), in nats; at most log of their number
    active_units: int  # with a variance of posterior means of 0.01 or more
    reconstruction_accuracy: float  # the share of steps that come back exactly


def latent_usage(model: Any, batches: Iterable[tuple[Any, Any]], seed: int = 0) -> LatentUsage:
    """The use of z by all sequences of a split: of batches (observed [B, T, ...], lengths [B])."""
    posteriors, right, steps = [], 0, 0
    for observed, lengths in batches:
        posteriors.append(model.encode(observed, lengths=lengths))
        observed, _ = model.as_sequences(observed)
        again = model.decode(posteriors[-1].loc, _time(observed), temperature=GREEDY)
        mask = tf.sequence_mask(lengths, _time(observed))
        right += int(np.sum(_equal(observed, again) & mask.numpy()))
        steps += int(np.sum(mask))
    q = Gaussian(*(tf.concat(parts, 0) for parts in zip(*posteriors, strict=True)))
    kl = tf.reduce_mean(q.dist().kl_divergence(Gaussian.standard_like(q.loc).dist()))
    return LatentUsage(
        float(kl), mutual_information(q, seed), active_units(q), right / max(steps, 1)
    )


def _time(observed: Any) -> int:
    return int(tf.nest.flatten(observed)[0].shape[1])


def _equal(observed: Any, again: Any) -> np.ndarray:
    """Where the steps of two nests of [B, T, ...] are the same, [B, T]."""
    pairs = zip(tf.nest.flatten(observed), tf.nest.flatten(again), strict=True)
    same = [np.equal(x, y).reshape(*x.shape[:2], -1).all(axis=2) for x, y in pairs]
    return np.logical_and.reduce(same)


def active_units(posteriors: Gaussian) -> int:
    """How many units of z have posterior means that differ from sequence to sequence.

    Those whose variance is 0.01 or more (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519).
    """
    return int(np.sum(np.var(posteriors.loc, axis=0) >= _ACTIVE))


def mutual_information(posteriors: Gaussian, seed: int = 0) -> float:
    """I(x; z) of z ~ q(z|x) and the N sequences, in nats, of one draw of z for each.

    E[log q(z|x) - log q(z)], where q(z) is the mean of q(z|x) over all of them (Hoffman and
    Johnson 2016): no more than log N.
    """
    loc, scale = (tf.cast(x, tf.float64) for x in posteriors)
    z = loc + scale * tf.random.stateless_normal(tf.shape(loc), [seed, 0], dtype=tf.float64)
    # log q(z|x) is linear in (z^2, z, 1): one matrix product for all pairs.
    precision = 1 / scale**2
    constant = -0.5 * tf.reduce_sum(loc**2 * precision + 2 * tf.math.log(scale), axis=1)
    terms = tf.concat([-0.5 * precision, loc * precision, constant[:, None]], axis=1)
    total = 0.0
    for first in range(0, len(z), _ROWS_AT_ONCE):
        rows = z[first : first + _ROWS_AT_ONCE]
        features = tf.concat([rows**2, rows, tf.ones_like(rows[:, :1])], axis=1)
        log_q = tf.matmul(features, terms, transpose_b=True)  # [rows, N], less a constant
        own = tf.linalg.diag_part(log_q[:, first : first + _ROWS_AT_ONCE])
        total += float(tf.reduce_sum(own - tf.reduce_logsumexp(log_q, axis=1)))
    return total / len(z) + float(np.log(len(z)))
