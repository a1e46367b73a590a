"""Samples end where they rest longest."""

import numpy as np
import pytest

from vaeseq.examples.midi.music import ending
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

FORM = RollFormat(4.0, beats=True)


def notes(length, *spans):
    """A roll with a note of its own key at each span of frames."""
    frames = np.zeros([length, KEYS], np.uint8)
    for key, (start, end) in enumerate(spans, 60):
        frames[start:end, key] = HELD
        frames[start, key] = STRUCK
    return frames


def find_end(roll, least, bar=16):
    return ending.find_end(roll, FORM, least, np.arange(len(roll)) % bar == 0)


def test_a_piece_ends_with_its_longest_chord():
    roll = notes(32, *((x, x + 4) for x in (0, 4, 8, 12)), (16, 24), (24, 28), (28, 32))
    assert find_end(roll, 14) == 24
    assert find_end(roll, 25) == 28, "the chord before has passed"


def test_the_last_notes_ring_to_their_own_ends():
    roll = notes(32, (0, 4), (4, 8), (8, 11), (8, 13), (20, 24))
    assert find_end(roll, 6) == 13
    assert find_end(roll, 15) == 15, "but the piece is as long as it should be"


def test_a_voice_that_is_held_through_the_end_stops_there():
    assert find_end(notes(32, (0, 32), (0, 4), (4, 12), (12, 16)), 8) == 32
    assert find_end(notes(24, (0, 20), (0, 4), (4, 16), (16, 20)), 8) == 16


def test_among_equal_rests_a_bar_line_is_preferred_and_then_the_first():
    roll = notes(40, *((x, x + 4) for x in range(0, 40, 4)))
    assert find_end(roll, 22) == 36, "after the note at 32"
    assert find_end(roll, 22, bar=1000) == 24


@pytest.mark.parametrize("spans", [[], [(0, 3)]])
def test_a_piece_that_falls_silent_early_is_as_long_as_it_should_be(spans):
    assert find_end(notes(20, *spans), 12) == 12


def test_the_bound_of_the_length():
    assert [ending.most_extra_seconds(x) for x in (1, 10, 16, 100)] == [0.5, 5, 8, 8]
