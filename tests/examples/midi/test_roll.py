"""Rolls: identities between notes, rolls and MIDI files."""

import io

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq.examples.midi.music import midi_file, render, roll
from vaeseq.examples.midi.music.midi_file import DRUMS, Notes, Refused
from vaeseq.examples.midi.music.roll import HELD, KEYS, SILENT, STRUCK, RollFormat

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
    midi = midi_file.read(roll.midi_bytes(roll.to_midi(frames, form)))
    return roll.to_roll(midi.in_beats() if form.beats else midi.in_seconds(), form)


@st.composite
def rolls(draw, form):
    """Rolls in which what is held was struck before."""
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
    """Notes of a frame or longer; a key is struck again no sooner than a frame after its end."""
    columns = []
    for pitch in draw(st.lists(st.integers(0, 127), min_size=1, max_size=5, unique=True)):
        end = 0.0
        for _ in range(draw(st.integers(1, 5))):
            start = end + unit * draw(st.floats(0, 3))
            end = start + unit * draw(st.floats(1.001, 5))
            columns.append((start, end, pitch, draw(st.integers(1, 127))))
    start, end, pitch, velocity = np.array(sorted(columns)).T
    whole = (x.astype(np.int32) for x in (pitch, velocity, np.zeros_like(pitch)))
    return Notes._make([start, end, *whole, end.max()])


@pytest.mark.parametrize("form", [FORMATS[0], FORMATS[2], FORMATS[3]], ids=str)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_onset_and_end_stays_within_half_a_frame(form, data):
    before = data.draw(notes(1 / form.rate))
    midi = midi_file.read(roll.midi_bytes(roll.to_midi(roll.to_roll(before, form), form)))
    after = midi.in_seconds()
    assert len(after.start) == len(before.start)
    by_key = [np.lexsort((x.start, x.pitch)) for x in (before, after)]
    for name in ("start", "end"):
        times = [getattr(x, name)[order] for x, order in zip((before, after), by_key, strict=True)]
        # Files count microseconds a beat and whole ticks.
        assert np.max(np.abs(times[0] - times[1])) <= 0.5 / form.rate + 1e-3


def test_repeated_notes_are_no_long_note():
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


def test_short_notes_last_a_frame_and_silence_at_the_end_counts():
    short = Notes(np.array([0.26]), np.array([0.27]), *(np.array([x]) for x in (60, 64, 0)), 1.5)
    assert roll.to_roll(short, RollFormat(4.0))[:, 60].tolist() == [0, 2, 0, 0, 0, 0]


def test_keys_held_in_silence_are_struck():
    frames = np.zeros([4, KEYS], np.uint8)
    frames[1:3, 60] = HELD
    struck = roll.to_notes(frames, RollFormat(1.0))
    assert (struck.start, struck.end, struck.length) == (1, 3, 4)


@pytest.mark.parametrize("levels", range(1, 128))
def test_a_level_is_that_of_its_velocity(levels):
    level = np.arange(levels)
    velocity = roll.velocity(level, levels)
    assert np.array_equal((velocity - 1) * levels // 127, level)
    assert velocity.min() >= 1 and velocity.max() <= 127


def test_instruments_are_merged_or_apart_and_unknown_ones_left_out():
    programs = np.array([0, 5, 24, 40, DRUMS])
    piano = RollFormat(1.0)
    assert piano.keyboards(programs).tolist() == [0, 0, 0, 0, -1]
    assert RollFormat(1.0, programs=(40, DRUMS)).keyboards(programs).tolist() == [0, 0, 0, 0, 1]
    assert RollFormat(1.0, programs=(DRUMS,)).keyboards(programs).tolist() == [-1, -1, -1, -1, 0]
    apart = RollFormat(1.0, programs=(3, 25, DRUMS), apart=True)
    assert apart.keyboards(programs).tolist() == [0, 0, 1, -1, 2]


def test_a_roll_too_large_is_refused():
    hour = Notes(*(np.zeros(0) for _ in range(5)), 3600.0)
    with pytest.raises(Refused, match="lasts 3600000 frames"):
        roll.to_roll(hour, RollFormat(1000.0))


@pytest.fixture
def melody():
    """Three seconds, of which the last is silent."""
    frames = np.zeros([24, 2 * KEYS], np.uint8)
    for frame, key in enumerate([60, 62, 64, 65]):
        frames[4 * frame, key] = STRUCK
        frames[4 * frame + 1 : 4 * frame + 4, key] = HELD
    frames[[0, 8], KEYS + 36] = STRUCK
    return frames, RollFormat(8.0, programs=(73, DRUMS))


def test_others_open_the_file_and_find_its_length(melody):
    data = roll.midi_bytes(roll.to_midi(*melody))
    midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
    assert midi.get_end_time() == pytest.approx(3.0, abs=1e-3)
    assert [(x.program, x.is_drum, len(x.notes)) for x in midi.instruments] == [
        (73, False, 4),
        (0, True, 2),
    ]
    assert mido.MidiFile(file=io.BytesIO(data)).length == pytest.approx(3.0, abs=2e-3)


def test_audio_is_as_long_as_the_roll_and_sounds_where_it_does(melody):
    sound = render.audio(*melody)
    assert len(sound) == 3 * render.SAMPLE_RATE and np.abs(sound).max() <= 1
    seconds = sound.reshape(3, -1).std(axis=1)
    assert seconds[:2].min() > 0.1 and seconds[2] < 0.1 * seconds[0]
    assert render.wav(sound)[:4] == b"RIFF"


def test_statistics_by_hand(melody):
    numbers = render.statistics(*melody)
    assert numbers == pytest.approx((3.0, 2.0, 18 / 16, (4 * 0.5 + 2 * 0.125) / 6, 36, 65, 1 / 3))
    nothing = render.statistics(np.zeros([8, KEYS], np.uint8), RollFormat(8.0))
    assert nothing == (1.0, 0.0, 0.0, 0.0, -1, -1, 1.0)
    lines = render.table({"a melody": numbers, "nothing": nothing}).splitlines()
    assert len(lines) == 3 and len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("empty", [False, True])
def test_a_picture_is_drawn(melody, empty):
    frames, form = melody
    rolls = [frames * (not empty)]
    data = render.png(rolls, form, start=1.0)
    assert data.startswith(b"\x89PNG") and data == render.png(rolls, form, 1.0)
    below = [render.png([*rolls, other], form) for other in (frames, 0 * frames)]
    assert below[0] != below[1]
