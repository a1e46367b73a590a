"""The key of a piece, and pieces in a common key."""

import dataclasses

import numpy as np
import pytest

from vaeseq.examples.midi.music import roll
from vaeseq.examples.midi.music.key import shift_to_c
from vaeseq.examples.midi.music.midi_file import DRUMS, MidiFile, Notes
from vaeseq.examples.midi.music.performance import Performance

MAJOR, MINOR = [0, 4, 7, 12, 11, 9, 7, 5, 2, 0], [0, 3, 7, 12, 11, 8, 7, 5, 2, 0]
FORM = roll.RollFormat(4.0, beats=True, common_key=True)


def scale(tonic, steps, program=0):
    """Returns a tune of quarter notes over a tonic, whose last note is long."""
    start = np.arange(len(steps), dtype=float)
    end = start + 1
    end[-1] += 3
    columns = (np.full(len(steps), x, np.int32) for x in (80, program))
    return Notes(start, end, np.array(steps, np.int32) + tonic, *columns, float(end[-1]))


@pytest.mark.parametrize(("steps", "tonic"), [(MAJOR, 60), (MINOR, 57)])
@pytest.mark.parametrize("semitones", range(-6, 6))
def test_a_tune_is_moved_back_to_c_major_or_a_minor(steps, tonic, semitones):
    assert shift_to_c(scale(tonic + semitones, steps)) == -semitones


def test_drums_have_no_key_and_do_not_move():
    drums = scale(35, MAJOR, DRUMS)
    assert shift_to_c(drums) == 0
    both = Notes._make(
        [
            *(np.concatenate(pair) for pair in zip(scale(62, MAJOR)[:-1], drums[:-1], strict=True)),
            drums.length,
        ]
    )
    assert shift_to_c(both) == -2
    moved = roll.transpose(both, -2)
    assert moved.pitch.tolist() == [60 + x for x in MAJOR] + [35 + x for x in MAJOR]


def test_what_leaves_the_range_of_midi_goes_by_an_octave():
    notes = scale(0, [1, 127])
    assert roll.transpose(notes, 3).pitch.tolist() == [4, 118]
    assert roll.transpose(notes, -3).pitch.tolist() == [10, 124]


def test_rolls_are_in_the_common_key():
    in_d, in_c = scale(62, MAJOR), scale(60, MAJOR)
    np.testing.assert_array_equal(roll.to_roll(in_d, FORM), roll.to_roll(in_c, FORM))
    as_it_is = dataclasses.replace(FORM, common_key=False)
    assert roll.shift(in_d, as_it_is) == 0
    np.testing.assert_array_equal(
        roll.to_roll(in_d, as_it_is)[:, 62:75], roll.to_roll(in_c, FORM)[:, 60:73]
    )


@pytest.mark.parametrize("make", [Performance.like, lambda *x: Performance.after(*x, 16)])
def test_what_continues_a_piece_or_is_like_it_has_the_key_of_the_piece(make):
    notes = scale(62, MAJOR)
    ticks = notes._replace(start=notes.start * 480, end=notes.end * 480, length=notes.length * 480)
    midi = MidiFile(ticks, np.zeros(1), np.array([0.5]), 480)
    frames = roll.to_roll(notes, FORM)
    played = make(midi, FORM).to_midi(frames)
    assert played.notes.pitch.tolist() == notes.pitch.tolist()
    assert Performance.of_run(FORM).to_midi(frames).notes.pitch.tolist() == [60 + x for x in MAJOR]
