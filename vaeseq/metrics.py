"""Scores of probabilistic forecasts and imputations, computed from samples with NumPy.

`samples` are [N, ...], N samples of each element, as `forecast` and `impute` return them;
`observed` is [...], what happened. Scores are in the units of the data, and lower is better;
`coverage` is a share.

Elements that are missing are not scored: those that are NaN in `observed`, and those that are
False in `mask`. A mask has the shape of `observed`, or lacks axes at its end: [B, T] goes with
[B, T, *event_shape]. The score of a missing element is NaN, so average with `np.nanmean`.
Samples that are NaN or infinite where something was observed are refused.

The scores are proper: no forecast has a lower expectation than the distribution of the data
(Gneiting and Raftery 2007, doi:10.1198/016214506000001437).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "coverage",
    "crps",
    "energy_score",
    "quantile_loss",
    "sample_quantiles",
]

_Floats = NDArray[np.float64]


def crps(
    samples: ArrayLike, observed: ArrayLike, *, mask: ArrayLike | None = None, fair: bool = True
) -> _Floats:
    """Computes the continuous ranked probability score of each element.

    It is E|X - y| - 1/2 E|X - X'|, where y is observed and X and X' are independent draws of the
    forecast (Gneiting and Raftery 2007, eq. 21). For a single certain forecast it is the absolute
    error; for binary data it is the Brier score.

    Args:
      samples: [N, ...].
      observed: [...]; NaN is missing.
      mask: bool, whether an element was observed; see the module.
      fair: whether E|X - X'| is the mean over the pairs of two different samples. This estimate
        is unbiased: its expectation does not depend on N. Otherwise it is the mean over all N^2
        pairs, the score of the N samples as a distribution of their own, which is larger by
        E|X - X'| / 2N (Zamo and Naveau 2018, doi:10.1007/s11004-017-9709-7). The fair score can be
        below 0.

    Returns:
      [...], NaN where nothing was observed. Takes O(N log N) time for each element.

    Raises:
      ValueError: if shapes do not match, a sample is NaN, or N is too small: 2 if fair, else 1.

    Example:
      >>> from vaeseq import metrics
      >>> samples = [[1.0], [2.0], [3.0]]  # three samples of one number
      >>> metrics.crps(samples, [2.0]).round(3).tolist()
      [0.0]
      >>> metrics.crps(samples, [5.0]).round(3).tolist()
      [2.333]
    """
    samples, observed, present = _prepare(samples, observed, mask)
    number = len(samples)
    pairs = _pairs(number, fair)
    errors = np.sort(samples - observed, axis=0)
    # Of sorted values, the i-th (from 1) is the larger one of i - 1 pairs and the smaller of N - i.
    weights = 2.0 * np.arange(1, number + 1) - number - 1
    spread = np.tensordot(weights, errors, axes=1) / pairs
    return _or_nan(present, np.abs(errors).mean(axis=0) - spread)


def energy_score(
    samples: ArrayLike,
    observed: ArrayLike,
    *,
    event_axes: int = 1,
    mask: ArrayLike | None = None,
    fair: bool = True,
) -> _Floats:
    """Computes the energy score of each vector: the CRPS of several variables together.

    It is E|X - y| - 1/2 E|X - X'| with Euclidean norms over the last `event_axes` axes (Gneiting
    and Raftery 2007, eq. 22), so it depends on how the variables move together. Missing elements
    are left out of the norms: it is the score of the marginal distribution of the others.

    Args:
      samples: [N, ..., *event_shape].
      observed: [..., *event_shape]; NaN is missing.
      event_axes: the number of axes of event_shape; 2 scores whole sequences [T, E].
      mask: bool, whether an element was observed; see the module.
      fair: see `crps`.

    Returns:
      [...], NaN where no element was observed. Takes O(N^2) time and O(N) memory for each element.

    Raises:
      ValueError: as `crps`, or if `observed` has fewer than `event_axes` axes.

    Example:
      >>> from vaeseq import metrics
      >>> samples = [[0.0, 0.0], [3.0, 4.0]]  # two samples of a vector
      >>> metrics.energy_score(samples, [0.0, 0.0], event_axes=1, fair=False).item()
      1.25
    """
    samples, observed, present = _prepare(samples, observed, mask)
    if not 1 <= event_axes <= observed.ndim:
        raise ValueError(
            f"event_axes must be from 1 to {observed.ndim}, the axes of observed, not {event_axes}"
        )
    number = len(samples)
    pairs = _pairs(number, fair)
    batch = observed.shape[: observed.ndim - event_axes]
    errors = (samples - observed).reshape(number, *batch, -1)  # 0 where nothing was observed
    spread = np.zeros(batch)
    for index in range(number - 1):
        spread += np.linalg.norm(errors[index + 1 :] - errors[index], axis=-1).sum(axis=0)
    some = present.reshape(*batch, -1).any(axis=-1)
    return _or_nan(some, np.linalg.norm(errors, axis=-1).mean(axis=0) - spread / pairs)


def quantile_loss(
    samples: ArrayLike,
    observed: ArrayLike,
    quantiles: ArrayLike = (0.1, 0.5, 0.9),
    *,
    mask: ArrayLike | None = None,
) -> _Floats:
    """Computes the quantile (pinball) loss of each element.

    It is (q - 1[y < x]) (y - x), where x is the q-quantile of the samples and y is observed. For
    q = 1/2 it is half the absolute error of the median; twice its mean over all q in (0, 1) is the
    CRPS (Gneiting and Raftery 2007, section 6).

    Args:
      samples: [N, ...].
      observed: [...]; NaN is missing.
      quantiles: the numbers q, [Q] or one number, between 0 and 1.
      mask: bool, whether an element was observed; see the module.

    Returns:
      [Q, ...], or [...] for one number; NaN where nothing was observed.

    Raises:
      ValueError: if shapes do not match, a sample is NaN, or a quantile is not between 0 and 1.

    Example:
      >>> from vaeseq import metrics
      >>> samples = [[1.0], [2.0], [3.0]]
      >>> metrics.quantile_loss(samples, [4.0], quantiles=[0.25, 0.75]).tolist()
      [[0.75], [0.75]]
    """
    samples, observed, present = _prepare(samples, observed, mask)
    q = _between_0_and_1("quantiles", quantiles)
    error = observed - sample_quantiles(samples, q)
    q = q.reshape(*q.shape, *[1] * observed.ndim)
    return _or_nan(present, np.maximum(q * error, (q - 1) * error))


def coverage(
    samples: ArrayLike,
    observed: ArrayLike,
    levels: ArrayLike = (0.5, 0.9),
    *,
    mask: ArrayLike | None = None,
    axis: int | tuple[int, ...] | None = None,
) -> _Floats:
    """Computes the share of observations inside central intervals of the samples.

    The interval of level p goes from the (1 - p)/2 to the (1 + p)/2 quantile. A calibrated
    forecast of continuous data covers a share of p, for any N, because the quantiles are those of
    `sample_quantiles`. The share below p tells that the forecast is too certain.

    Args:
      samples: [N, ...].
      observed: [...]; NaN is missing.
      levels: the numbers p, [L] or one number, between 0 and 1.
      mask: bool, whether an element was observed; see the module.
      axis: the axes of `observed` that are averaged over; None is all of them.

    Returns:
      [L] or [], and the axes that are left; NaN where nothing was observed.

    Raises:
      ValueError: as `quantile_loss`, for an axis that `observed` does not have, or if there are
        fewer samples than the interval needs, which is 2 / (1 - p) - 1.

    Example:
      >>> import numpy as np
      >>> from vaeseq import metrics
      >>> rng = np.random.default_rng(0)
      >>> samples, observed = rng.normal(size=[99, 1000]), rng.normal(size=1000)
      >>> metrics.coverage(samples, observed, levels=[0.5, 0.9]).round(1).tolist()
      [0.5, 0.9]
    """
    samples, observed, present = _prepare(samples, observed, mask)
    p = _between_0_and_1("levels", levels)
    needed = math.ceil(2 / (1 - p.max(initial=0.0)) - 1 - 1e-9)
    if len(samples) < needed:
        raise ValueError(
            f"an interval of level {p.max():g} needs at least {needed} samples, not {len(samples)}"
        )
    inside = sample_quantiles(samples, (1 - p) / 2) <= observed
    inside &= observed <= sample_quantiles(samples, (1 + p) / 2)
    axes = range(observed.ndim) if axis is None else np.atleast_1d(axis)
    if any(not -observed.ndim <= a < observed.ndim for a in axes):
        raise ValueError(f"axis {axis} is not one of the {observed.ndim} of observed")
    averaged = tuple(int(a) % observed.ndim + p.ndim for a in axes)
    counted = np.broadcast_to(present, inside.shape)
    total = counted.sum(axis=averaged)
    return _or_nan(total > 0, (inside & counted).sum(axis=averaged) / np.maximum(total, 1))


def sample_quantiles(samples: ArrayLike, quantiles: ArrayLike) -> _Floats:
    """Computes quantiles of samples [N, ...] over their first axis; returns [*quantiles, ...].

    The i-th smallest of N samples is the quantile i / (N + 1), the probability that another sample
    of the same distribution is below it; between them, quantiles are interpolated linearly. Those
    below 1 / (N + 1) and above N / (N + 1) are the extreme samples.

    Example:
      >>> from vaeseq import metrics
      >>> metrics.sample_quantiles([1.0, 2.0, 3.0], [0.25, 0.5]).tolist()
      [1.0, 2.0]
    """
    samples, quantiles = np.asarray(samples, np.float64), np.asarray(quantiles, np.float64)
    return np.asarray(np.quantile(samples, quantiles, axis=0, method="weibull"))


def _prepare(
    samples: ArrayLike, observed: ArrayLike, mask: ArrayLike | None
) -> tuple[_Floats, _Floats, NDArray[np.bool_]]:
    """Returns samples and observations, 0 where they are missing, and whether they are present."""
    masked = np.ma.asarray(observed).mask
    samples, observed = np.asarray(samples, np.float64), np.asarray(observed, np.float64)
    if samples.shape[1:] != observed.shape or samples.ndim == 0 or len(samples) == 0:
        raise ValueError(
            f"samples must be [N, ...], N samples for each element of observed, which is "
            f"{list(observed.shape)}; they are {list(samples.shape)}"
        )
    present = ~(np.isnan(observed) | masked)
    if mask is not None:
        present &= _as_mask(mask, observed.shape)
    samples, observed = np.where(present, samples, 0.0), np.where(present, observed, 0.0)
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise ValueError(f"{bad} samples are NaN or infinite where something was observed")
    if not np.isfinite(observed).all():
        infinite = int(np.isinf(observed).sum())
        raise ValueError(f"infinite numbers in observed: {infinite}; if they are gaps, mask them")
    return samples, observed, present


def _as_mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(mask)
    if mask.shape != shape[: mask.ndim] or not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"mask must be of True and False, {list(shape)} as observed or without axes at the "
            f"end; it is {mask.dtype} {list(mask.shape)}"
        )
    return mask.astype(bool).reshape(*mask.shape, *[1] * (len(shape) - mask.ndim))


def _pairs(number: int, fair: bool) -> int:
    """Returns what the sum of distances |x_i - x_j|, i < j, is divided by for E|X - X'| / 2."""
    if fair and number < 2:
        raise ValueError("the fair score needs at least 2 samples; pass fair=False for one")
    return number * (number - 1) if fair else number * number


def _between_0_and_1(name: str, values: ArrayLike) -> _Floats:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim > 1 or not np.all((numbers > 0) & (numbers < 1)):
        raise ValueError(f"{name} must be numbers between 0 and 1, not {values!r}")
    return numbers


def _or_nan(present: Any, score: Any) -> _Floats:
    return np.where(present, score, np.nan)
