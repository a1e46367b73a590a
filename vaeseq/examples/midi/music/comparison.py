"""Distances between two sets of pieces, and the distance by which to measure them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vaeseq.examples.midi.music.features import STATISTICS, Counts

_SPLITS = 20  # of the pieces into halves
_SEED = 0  # of the splits, so that evaluations of the same pieces have the same yardstick


class Comparison(NamedTuple):
    """How a statistic of samples differs from that of other pieces.

    A value is None if it does not exist, for example the mean length of notes if there are none.
    """

    samples: float | None  # the mean; None for categories
    pieces: float | None
    distance: float | None  # between the samples and the pieces
    yardstick: float | None  # the mean distance between two random halves of the pieces
    ratio: float | None  # distance / yardstick


def compare(
    samples: Sequence[Mapping[str, Counts]], pieces: Sequence[Mapping[str, Counts]]
) -> dict[str, Comparison]:
    """Compares samples with pieces by each of the `STATISTICS`.

    Args:
      samples: the counts of each sample; see `features.count`.
      pieces: the counts of each piece.
    """
    return {name: _compare(name, samples, pieces) for name in STATISTICS}


def distance(name: str, one: Counts, other: Counts) -> float | None:
    """Returns the distance between two distributions of the statistic `name`.

    It is the 1-Wasserstein distance of numbers, in their unit: how far the values of one must be
    moved on average to become the other. Of categories, and of shares, it is the total variation,
    from 0 to 1: how much of one must change to become the other.

    Returns:
      The distance, or None if nothing was observed in one of them.
    """
    if not one.total() or not other.total():
        return None
    values = sorted(one.keys() | other.keys())
    gaps = _shares(one, values) - _shares(other, values)
    if STATISTICS[name].is_number:
        return float(np.abs(np.cumsum(gaps)[:-1]) @ np.diff(np.array(values, float)))
    return float(np.abs(gaps).sum() / 2)


def _compare(
    name: str, samples: Sequence[Mapping[str, Counts]], pieces: Sequence[Mapping[str, Counts]]
) -> Comparison:
    sampled, real = ([piece[name] for piece in x] for x in (samples, pieces))
    total, real_total = _total(sampled), _total(real)
    difference, yardstick = distance(name, total, real_total), _yardstick(name, real)
    return Comparison(
        _mean(name, total),
        _mean(name, real_total),
        difference,
        yardstick,
        difference / yardstick if difference is not None and yardstick else None,
    )


def _yardstick(name: str, pieces: Sequence[Counts]) -> float | None:
    rng = np.random.default_rng(_SEED)
    distances = []
    for _ in range(_SPLITS):
        order = rng.permutation(len(pieces)).tolist()
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        one, other = (_total([pieces[index] for index in half]) for half in halves)
        distances.append(distance(name, one, other))
    known = [x for x in distances if x is not None]
    return float(np.mean(known)) if known else None


def _total(pieces: Sequence[Counts]) -> Counts:
    total: Counts = Counter()
    for counts in pieces:
        total.update(counts)
    return total


def _mean(name: str, counts: Counts) -> float | None:
    if not counts.total() or not STATISTICS[name].is_number:
        return None
    return sum(value * number for value, number in counts.items()) / counts.total()


def _shares(counts: Counts, values: Sequence[float]) -> np.ndarray:
    return np.array([counts[value] for value in values]) / counts.total()
