"""Attributes of pieces, on music of which they are known."""

import numpy as np
import pytest

from vaeseq.examples.midi.music.attributes import ATTRIBUTES, measure
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

FORM = RollFormat(4.0, beats=True)


def roll(*notes, frames=16):
    """Returns a roll of notes (start, length, pitch)."""
    made = np.zeros([frames, KEYS], np.uint8)
    for start, length, pitch in notes:
        made[start : start + length, pitch] = HELD
        made[start, pitch] = STRUCK
    return made


def test_a_scale_has_all_its_notes_in_a_scale():
    scale = roll(*((2 * i, 2, 60 + x) for i, x in enumerate((0, 2, 4, 5, 7, 9, 11, 12))))
    assert measure(scale, FORM) == {
        **{"density": 8, "range": 12, "pitch": 66.25, "scale": 1, "syncopation": 0}
    }
    chromatic = roll(*((i, 1, 60 + i) for i in range(12)), frames=12)
    assert measure(chromatic, FORM)["scale"] == pytest.approx(7 / 12)


def test_long_notes_count_more_for_the_pitch_and_the_scale():
    tune = roll((0, 12, 60), (12, 4, 64))
    assert measure(tune, FORM)["pitch"] == 61
    off = roll((0, 8, 60), (8, 4, 61), (12, 4, 62))  # in no scale with C and D
    assert measure(off, FORM)["scale"] == 0.75


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([(0, 4, 60), (4, 4, 60), (8, 4, 60), (12, 4, 60)], 0),
        ([(0, 2, 60), (2, 2, 60), (4, 4, 60), (8, 8, 60)], 0),  # half beats that end on beats
        ([(0, 2, 60), (2, 4, 60), (6, 2, 60), (8, 8, 60)], 2),  # one rings over a beat
        ([(0, 1, 60), (1, 2, 60), (3, 1, 60), (4, 4, 60)], 1),  # one rings over a half beat
        ([(0, 1, 60), (1, 4, 60), (8, 4, 60), (12, 4, 60)], 3),  # one rings over both
    ],
)
def test_syncopation_counts_what_rings_over_a_beat(notes, expected):
    assert measure(roll(*notes), FORM)["syncopation"] == expected


def test_the_beats_are_where_most_notes_start():
    tune = [(0, 4, 60), (4, 4, 62), (8, 2, 64), (10, 4, 65), (14, 2, 60)]
    late = [(start + 3, length, pitch) for start, length, pitch in tune]
    one, other = (measure(roll(*notes, frames=32), FORM) for notes in (tune, late))
    assert one["syncopation"] == other["syncopation"] == 1


@pytest.mark.parametrize("form", [FORM, RollFormat(0.1), RollFormat(1000.0, beats=True)])
def test_all_rates_and_silence_are_measured(form):
    for frames in (1, 7):
        silent = measure(np.zeros([frames, KEYS], np.uint8), form)
        assert silent == dict.fromkeys(ATTRIBUTES) | {"density": 0}
        full = measure(roll((0, frames, 60), frames=frames), form)
        assert full["range"] == 0 and full["scale"] == 1 and full["syncopation"] >= 0
