"""Distances between sets of pieces."""

from collections import Counter

import numpy as np
import pytest

from vaeseq.examples.midi.music.comparison import Comparison, compare, distance
from vaeseq.examples.midi.music.features import STATISTICS


def pieces(*counts):
    """Returns pieces in which every statistic has these counts."""
    return [{name: Counter(x) for name in STATISTICS} for x in counts]


def test_numbers_are_moved_and_categories_are_changed():
    one, other = Counter({1: 1, 2: 1}), Counter({2: 2, 6: 2})
    assert distance("keys_at_once", one, other) == pytest.approx(0.5 * 1 + 0.5 * 4)
    assert distance("chords", one, other) == pytest.approx(0.5)
    shares = Counter({False: 3, True: 1}), Counter({False: 1, True: 3})
    assert distance("silence", *shares) == pytest.approx(0.5)


def test_the_distance_of_numbers_is_that_of_samples_in_order():
    one, other = np.random.default_rng(0).integers(-9, 9, size=[2, 50])
    expected = np.abs(np.sort(one) - np.sort(other)).mean()
    counts = (Counter(x.tolist()) for x in (one, other))
    assert distance("pitch_range", *counts) == pytest.approx(expected)


@pytest.mark.parametrize("name", STATISTICS)
def test_laws_of_a_distance(name):
    one, other, third = Counter({0: 3, 1: 2}), Counter({1: 1}), Counter({0: 1, 4: 5})
    tripled = Counter({value: 3 * number for value, number in one.items()})
    assert distance(name, one, one) == distance(name, one, tripled) == 0
    assert distance(name, one, other) == distance(name, other, one) > 0
    direct = distance(name, one, third)
    assert direct <= distance(name, one, other) + distance(name, other, third) + 1e-12
    assert distance(name, one, Counter()) is distance(name, Counter(), one) is None


def test_identical_sets_have_distance_0_and_equal_halves_no_ratio():
    alike = pieces(*[{1: 1, 2: 3}] * 5)
    compared = compare(alike, alike)
    assert list(compared) == list(STATISTICS)
    assert compared["keys_at_once"] == Comparison(1.75, 1.75, 0, 0, None)
    assert compared["chords"] == Comparison(None, None, 0, 0, None), "categories have no mean"


def test_the_yardstick_is_the_distance_of_halves():
    compared = compare(pieces({5: 2}), pieces({1: 1}, {3: 1}))
    assert compared["keys_at_once"] == Comparison(5, 2, 3, 2, 1.5)
    assert compared["chords"] == Comparison(None, None, 1, 1, 1)


def test_the_yardstick_is_always_the_same_and_falls_with_more_pieces():
    rng = np.random.default_rng(0)
    many = pieces(*({int(x): 1} for x in rng.normal(60, 9, size=200)))
    few, all_, again = (compare(many[:1], x) for x in (many[:20], many, many))
    assert all_ == again
    assert 0 < all_["pitch_range"].yardstick < few["pitch_range"].yardstick


def test_what_does_not_exist_is_none():
    nothing, one = pieces({}), pieces({1: 1})
    assert set(compare(nothing, nothing).values()) == {Comparison(*[None] * 5)}
    assert compare(nothing, one)["keys_at_once"] == Comparison(None, 1, None, None, None)
    assert compare(one, nothing)["keys_at_once"] == Comparison(1, None, None, None, None)
