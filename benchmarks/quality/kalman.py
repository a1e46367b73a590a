"""Exact answers for linear-Gaussian sequences with missing elements: Kalman filter and smoother.

The states s_1:T and observations x_1:T of a `System` are

    s_1 ~ N(0, initial),   s_t ~ N(transition s_{t-1}, state_noise),
    x_t ~ N(emission s_t, diag(noise)).

Shapes: B sequences, T steps, S numbers in a state, E elements in an observation. A missing element
is one whose row of the emission is 0.
"""

from typing import NamedTuple

import numpy as np


class System(NamedTuple):
    """A linear-Gaussian state-space model."""

    initial: np.ndarray  # [S, S]
    transition: np.ndarray  # [S, S]
    state_noise: np.ndarray  # [S, S]
    emission: np.ndarray  # [E, S]
    noise: np.ndarray  # [E], variances


class Beliefs(NamedTuple):
    """Gaussian distributions of the states."""

    means: np.ndarray  # [B, T, S]
    covariances: np.ndarray  # [B, T, S, S]


def sample(system, rng, batch, steps):
    """Returns sequences of observations, [B, T, E]."""
    size = len(system.initial)
    states = [rng.multivariate_normal(np.zeros(size), system.initial, batch)]
    for _ in range(steps - 1):
        noise = rng.multivariate_normal(np.zeros(size), system.state_noise, batch)
        states.append(states[-1] @ system.transition.T + noise)
    clean = np.stack(states, axis=1) @ system.emission.T
    return clean + rng.normal(size=clean.shape) * np.sqrt(system.noise)


def filter_states(system, observed, mask):
    """Computes p(s_t | x_1:t) of sequences [B, T, E], of which the elements in `mask` are known.

    Returns:
      The log-likelihood of the known elements of each sequence in nats, [B], and the beliefs.
    """
    observed = np.where(mask, observed, 0.0)
    batch, size = len(observed), len(system.initial)
    mean, covariance = np.zeros([batch, size]), np.broadcast_to(system.initial, [batch, size, size])
    log_prob, means, covariances = np.zeros(batch), [], []
    for x, known in zip(observed.swapaxes(0, 1), mask.swapaxes(0, 1), strict=True):
        if means:
            mean, covariance = _predict(system, mean, covariance)
        emission = system.emission * known[..., None]  # [B, E, S]
        error = x - np.einsum("bes,bs->be", emission, mean)
        cross = covariance @ emission.swapaxes(1, 2)  # [B, S, E]
        variance = emission @ cross + _diagonal(np.where(known, system.noise, 1.0))
        solved = np.linalg.solve(variance, error[..., None])[..., 0]
        log_prob -= 0.5 * (np.log(2 * np.pi) * known.sum(-1) + np.linalg.slogdet(variance)[1])
        log_prob -= 0.5 * (error * solved).sum(-1)
        mean = mean + np.einsum("bse,be->bs", cross, solved)
        covariance = covariance - cross @ np.linalg.solve(variance, cross.swapaxes(1, 2))
        means.append(mean)
        covariances.append(covariance)
    return log_prob, Beliefs(np.stack(means, axis=1), np.stack(covariances, axis=1))


def smooth_states(system, filtered):
    """Computes p(s_t | x_1:T) from the beliefs of the filter (Rauch, Tung, Striebel 1965)."""
    means, covariances = filtered.means.copy(), filtered.covariances.copy()
    for t in reversed(range(means.shape[1] - 1)):
        mean, covariance = _predict(system, filtered.means[:, t], filtered.covariances[:, t])
        forward = system.transition @ filtered.covariances[:, t]
        gain = np.linalg.solve(covariance, forward).swapaxes(1, 2)
        means[:, t] += np.einsum("bij,bj->bi", gain, means[:, t + 1] - mean)
        change = covariances[:, t + 1] - covariance
        covariances[:, t] += gain @ change @ gain.swapaxes(1, 2)
    return Beliefs(means, covariances)


def forecast_states(system, filtered, steps):
    """Computes p(s_T+1:T+steps | x_1:T) from the beliefs of the filter."""
    mean, covariance = filtered.means[:, -1], filtered.covariances[:, -1]
    beliefs = []
    for _ in range(steps):
        mean, covariance = _predict(system, mean, covariance)
        beliefs.append((mean, covariance))
    return Beliefs(*(np.stack(parts, axis=1) for parts in zip(*beliefs, strict=True)))


def observation_moments(system, beliefs):
    """Returns the means and variances of elements that were not observed, both [B, T, E]."""
    means = beliefs.means @ system.emission.T
    variances = np.einsum("es,btsr,er->bte", system.emission, beliefs.covariances, system.emission)
    return means, variances + system.noise


def _predict(system, mean, covariance):
    A = system.transition
    return mean @ A.T, A @ covariance @ A.T + system.state_noise


def _diagonal(x):
    """Returns diagonal matrices [B, E, E] of vectors [B, E]."""
    return x[..., None] * np.eye(x.shape[-1])
