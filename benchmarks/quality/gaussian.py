"""A Gaussian distribution of whole sequences, fitted by EM to sequences with missing elements.

The strongest simple baseline for short sequences of equal length: what is missing, or comes next,
is conditioned on all that is known. Source of the EM steps: Little and Rubin, "Statistical Analysis
with Missing Data", 2002, section 11.2.
"""

from typing import NamedTuple

import numpy as np

_LEAST_VARIANCE = 1e-6  # added to the diagonal, so that few sequences leave no singular matrix


class Gaussian(NamedTuple):
    """A normal distribution."""

    mean: np.ndarray  # [D]
    covariance: np.ndarray  # [D, D]


def conditional(gaussian: Gaussian, x: np.ndarray, known: np.ndarray) -> Gaussian:
    """Returns the distribution of all elements given the known ones of `x`, [D]."""
    mean, covariance = gaussian.mean.copy(), np.zeros_like(gaussian.covariance)
    inside, cross = (gaussian.covariance[known][:, part] for part in (known, ~known))
    gain = np.linalg.solve(inside, cross).T  # [missing, known]
    mean[known] = x[known]
    mean[~known] += gain @ (x[known] - gaussian.mean[known])
    covariance[np.ix_(~known, ~known)] = gaussian.covariance[~known][:, ~known] - gain @ cross
    return Gaussian(mean, covariance)


def fit(x: np.ndarray, mask: np.ndarray, iterations: int = 100) -> Gaussian:
    """Returns the Gaussian of sequences [B, D] of which the elements of `mask` are known."""
    size = x.shape[1]
    gaussian = Gaussian(np.zeros(size), np.eye(size))
    for _ in range(iterations):
        given = [conditional(gaussian, *row) for row in zip(x, mask, strict=True)]
        means = np.stack([row.mean for row in given])
        within = np.mean([row.covariance for row in given], axis=0)
        between = np.cov(means, rowvar=False, bias=True)
        floor = _LEAST_VARIANCE * np.eye(size)
        gaussian = Gaussian(means.mean(axis=0), within + between + floor)
    return gaussian
