"""Conversions between notes, rolls and MIDI files."""

import io

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq.examples.midi.music import midi_file, roll
from vaeseq.examples.midi.music.midi_file import DRUMS, Notes, Refused
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import HELD, KEYS, SILENT, RollFormat

FORMATS = [
    RollFormat(8.0),
    RollFormat(8.0, velocity_levels=0),
    RollFormat(31.7, velocity_levels=5),
    RollFormat(1000.0),
    RollFormat(4.0, beats=True, tempo=80.0, velocity_levels=127),
    RollFormat(7.0, beats=True, tempo=133.7, programs=(0, 24, 73, DRUMS), apart=True),
    RollFormat(2.0, programs=(19, DRUMS), velocity_levels=64),
]


def through_midi(frames, form):
    midi = midi_file.parse(Performance.of_run(form).to_bytes(frames))
    return roll.to_roll(midi.in_beats() if form.beats else midi.in_seconds(), form)


@st.composite
def rolls(draw, form):
    """Rolls in which every held key was struck before."""
    keys = draw(st.lists(st.integers(0, form.num_keys - 1), min_size=1, max_size=6, unique=True))
    frames = np.zeros([draw(st.integers(1, 30)), form.num_keys], np.uint8)
    for key in keys:
        states = draw(
            st.lists(
                st.integers(0, form.num_states - 1), min_size=len(frames), max_size=len(frames)
            )
        )
        for frame, state in enumerate(states):
            legal = state != HELD or form.velocity_levels == 0 or (frame and frames[frame - 1, key])
            frames[frame, key] = state if legal else SILENT
    return frames


@pytest.mark.parametrize("form", FORMATS, ids=str)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_roll_to_midi_to_roll_is_the_identity(form, data):
    frames = data.draw(rolls(form))
    np.testing.assert_array_equal(through_midi(frames, form), frames)


@st.composite
def notes(draw, unit):
    """Notes of at least one frame; the notes of a key do not overlap."""
    columns = []
    for pitch in draw(st.lists(st.integers(0, 127), min_size=1, max_size=5, unique=True)):
        end = 0.0
        for _ in range(draw(st.integers(1, 5))):
            start = end + unit * draw(st.floats(0, 3))
            end = start + unit * draw(st.floats(1.001, 5))
            columns.append((start, end, pitch, draw(st.integers(1, 127))))
    start, end, pitch, velocity = np.array(sorted(columns)).T
    integers = (x.astype(np.int32) for x in (pitch, velocity, np.zeros_like(pitch)))
    return Notes._make([start, end, *integers, end.max()])


@pytest.mark.parametrize("form", [FORMATS[0], FORMATS[2], FORMATS[3]], ids=str)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_onsets_and_ends_move_by_at_most_half_a_frame(form, data):
    before = data.draw(notes(1 / form.rate))
    midi = midi_file.parse(Performance.of_run(form).to_bytes(roll.to_roll(before, form)))
    after = midi.in_seconds()
    assert len(after.start) == len(before.start)
    by_key = [np.lexsort((x.start, x.pitch)) for x in (before, after)]
    for name in ("start", "end"):
        times = [getattr(x, name)[order] for x, order in zip((before, after), by_key, strict=True)]
        # MIDI files store whole microseconds per beat and whole ticks.
        assert np.max(np.abs(times[0] - times[1])) <= 0.5 / form.rate + 1e-3


def test_repeated_notes_stay_separate_with_velocity_levels():
    form = RollFormat(4.0)
    repeated = Notes(
        np.array([0.0, 0.5, 1.0]),
        np.array([0.5, 1.0, 2.0]),
        *(np.full(3, x) for x in (60, 64, 0)),
        2.0,
    )
    frames = roll.to_roll(repeated, form)
    assert frames[:, 60].tolist() == [2, 1, 2, 1, 2, 1, 1, 1]
    assert roll.to_notes(frames, form).start.tolist() == [0.0, 0.5, 1.0]
    merged = roll.to_roll(repeated, RollFormat(4.0, velocity_levels=0))
    assert merged[:, 60].tolist() == [1] * 8


def test_short_notes_last_one_frame_and_a_final_silence_is_kept():
    short = Notes(np.array([0.26]), np.array([0.27]), *(np.array([x]) for x in (60, 64, 0)), 1.5)
    assert roll.to_roll(short, RollFormat(4.0))[:, 60].tolist() == [0, 2, 0, 0, 0, 0]


def test_keys_held_after_silence_are_struck():
    frames = np.zeros([4, KEYS], np.uint8)
    frames[1:3, 60] = HELD
    struck = roll.to_notes(frames, RollFormat(1.0))
    assert (struck.start, struck.end, struck.length) == (1, 3, 4)


@pytest.mark.parametrize("levels", range(1, 128))
def test_the_velocity_of_a_level_has_that_level(levels):
    level = np.arange(levels)
    velocity = roll.level_to_velocity(level, levels)
    assert np.array_equal((velocity - 1) * levels // 127, level)
    assert velocity.min() >= 1 and velocity.max() <= 127


def test_keyboards_of_merged_and_separate_instruments():
    programs = np.array([0, 5, 24, 40, DRUMS])
    piano = RollFormat(1.0)
    assert piano.keyboards(programs).tolist() == [0, 0, 0, 0, -1]
    assert RollFormat(1.0, programs=(40, DRUMS)).keyboards(programs).tolist() == [0, 0, 0, 0, 1]
    assert RollFormat(1.0, programs=(DRUMS,)).keyboards(programs).tolist() == [-1, -1, -1, -1, 0]
    apart = RollFormat(1.0, programs=(3, 25, DRUMS), apart=True)
    assert apart.keyboards(programs).tolist() == [0, 0, 1, -1, 2]


def test_a_roll_that_is_too_large_is_refused():
    hour = Notes(*(np.zeros(0) for _ in range(5)), 3600.0)
    with pytest.raises(Refused, match="needs a roll of 3600000 frames x 128 keys"):
        roll.to_roll(hour, RollFormat(1000.0))


def test_other_libraries_parse_the_file_and_its_length(melody):
    data = Performance.of_run(melody[1]).to_bytes(melody[0])
    midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
    assert midi.get_end_time() == pytest.approx(3.0, abs=1e-3)
    assert [(x.program, x.is_drum, len(x.notes)) for x in midi.instruments] == [
        (73, False, 4),
        (0, True, 2),
    ]
    assert mido.MidiFile(file=io.BytesIO(data)).length == pytest.approx(3.0, abs=2e-3)
