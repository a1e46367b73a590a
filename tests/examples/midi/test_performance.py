"""Rolls are played as a run or a given piece is, and a given beginning stays as it is."""

import dataclasses

import numpy as np
import pytest

from tests.examples.midi.test_midi_file import file, key, meter, off, on, program, tempo
from vaeseq.examples.midi.music import midi_file, midi_writer, roll, timing
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

BEATS = RollFormat(4.0, beats=True, tempo=80.0)
SECONDS = RollFormat(8.0, tempo=120.0)
FORMS = pytest.mark.parametrize("form", [BEATS, SECONDS], ids=["beats", "seconds"])
WALTZ = file(  # a violin, two bars of 3/4 at 90 and one at 60, off the grid, with 96 ticks per beat
    tempo(0, 666_667) + meter(0, 3, 2) + key(0, 2) + tempo(576, 1_000_000) + key(864, 5),
    program(0, 40)
    + b"".join(on(1, 60 + i, 90 + i) + off(90, 60 + i) + on(5, 50) + off(0, 51) for i in range(9))
    + off(3, 50),
    division=96,
)


def waltz(form):
    """Returns the piece and its roll."""
    midi = midi_file.parse(WALTZ)
    return midi, roll.to_roll(timing.in_unit_of(form, midi), form)


def followed(frames, keys, form):
    """Returns a roll with one struck key per second frame after it."""
    more = np.zeros([2 * len(keys), form.num_keys], np.uint8)
    more[range(0, len(more), 2), keys] = STRUCK
    more[range(1, len(more), 2), keys] = HELD
    return np.concatenate([frames, more])


@FORMS
def test_the_notes_of_the_beginning_are_written_exactly(form):
    midi, frames = waltz(form)
    performance = Performance.after(midi, form, len(frames))
    piece = followed(frames, [70, 71, 72, 73], form)
    after = midi_file.parse(performance.to_bytes(piece))
    given, count = midi.in_seconds(), len(midi.notes.start)
    written = after.with_times(after.seconds_at)
    for name in ("start", "end", "pitch", "velocity", "program"):
        np.testing.assert_allclose(getattr(written, name)[:count], getattr(given, name), atol=1e-9)
    assert after.time_signatures == ((0, 3, 4),)
    assert [x[1:] for x in after.key_signatures] == [(2, False)], "the last begins at the end"
    assert written.pitch[count:].tolist() == [70, 71, 72, 73]
    assert set(written.program.tolist()) == {40}
    assert set(written.velocity[count:].tolist()) == {int(np.median(given.velocity))}
    # The last bar has 60 beats per minute.
    first, second = written.start[count : count + 2]
    assert second - first == pytest.approx(2 / 4 if form.beats else 2 / 8, abs=1e-3)
    assert written.length == pytest.approx(
        performance.start_seconds + 4 * (second - first), rel=0.01
    )


@FORMS
def test_a_beginning_that_is_cut_ends_at_a_frame(form):
    midi, frames = waltz(form)
    size = timing.frames_of_seconds(midi, form, 3.0)
    assert size == (18 if form.beats else 24)  # three seconds are 4.5 beats of 90 per minute
    performance = Performance.after(midi, form, size)
    piece = followed(frames[:size], [70], form)
    notes = performance.to_notes(piece)
    assert performance.start_seconds == pytest.approx(3.0, abs=1e-5)
    before = notes.select(notes.pitch != 70)
    assert before.end.max() == pytest.approx(3.0, abs=1e-5) and before.start.max() < 3.0
    assert notes.start[-1] == pytest.approx(3.0, abs=1e-5)
    assert performance.frames_per_second == pytest.approx(4 * 1.5 if form.beats else 8, rel=1e-5)


def test_a_note_that_the_grid_rounds_away_is_kept():
    """The last drum starts in the second half of the last frame."""
    drum = on(70, 36, channel=9) + off(10, 36, channel=9)
    midi = midi_file.parse(file(on(0, 60) + off(480, 60), on(480, 61) + drum))
    frames = roll.to_roll(midi.in_beats(), BEATS)
    piece = Performance.after(midi, BEATS, len(frames)).to_midi(followed(frames, [70], BEATS))
    assert piece.notes.pitch.tolist() == [60, 36, 70]
    assert piece.notes.end.tolist()[:2] == [480, 560]


def test_a_key_that_is_held_at_the_cut_goes_on_as_one_note():
    midi = midi_file.parse(file(on(0, 60, 99) + off(1920, 60)))
    frames = roll.to_roll(midi.in_beats(), BEATS)[:8]
    more = np.zeros([4, KEYS], np.uint8)
    more[:2, 60] = HELD
    notes = Performance.after(midi, BEATS, 8).to_midi(np.concatenate([frames, more])).notes
    assert (notes.start.tolist(), notes.end.tolist()) == ([0], [1200])
    assert notes.velocity == 99


def test_keyboards_play_the_programs_of_the_piece():
    """Notes without a keyboard are kept, but the continuation has none of them."""
    form = RollFormat(4.0, beats=True, programs=(0, 40, DRUMS), apart=True)
    tracks = [
        program(0, number, channel) + on(0, 60, velocity, channel) + off(480, 60, channel)
        for channel, (number, velocity) in enumerate([(4, 30), (4, 40), (1, 100), (70, 10)])
    ]
    midi = midi_file.parse(file(*tracks))
    frames = roll.to_roll(midi.in_beats(), form)
    performance = Performance.after(midi, form, len(frames))
    assert performance.programs == (4, 40, DRUMS)
    assert performance.velocities == (40, 40, 40), "of the pianos, and where there are no notes"
    assert sorted(performance.to_midi(frames).notes.program.tolist()) == [1, 4, 4, 70]
    levels = RollFormat(4.0, beats=True, velocity_levels=8)
    assert Performance.after(midi, levels, 4).velocities is None


@FORMS
def test_a_tempo_is_that_of_the_generated_music_alone(form):
    midi, frames = waltz(form)
    slow = Performance.after(midi, form, len(frames))
    fast = dataclasses.replace(slow, tempo=120.0)
    piece = followed(frames, [70, 71], form)
    before, after = slow.to_notes(piece), fast.to_notes(piece)
    np.testing.assert_allclose(after.start[:-2], before.start[:-2])
    assert np.diff(after.start)[-1] == pytest.approx(np.diff(before.start)[-1] / 2, abs=1e-3)
    assert fast.frames_per_second == pytest.approx(2 * slow.frames_per_second)


@FORMS
def test_a_variation_has_the_tempos_and_signatures_of_the_piece(form):
    midi, frames = waltz(form)
    performance = Performance.like(midi, form)
    written = midi_file.parse(performance.to_bytes(frames))
    assert [x[1:] for x in written.time_signatures] == [(3, 4)] and len(written.key_signatures) == 2
    notes, given = written.with_times(written.seconds_at), midi.in_seconds()
    assert notes.pitch.tolist() == given.pitch.tolist()
    np.testing.assert_allclose(notes.start, given.start, atol=0.5 / form.frames_per_second)
    assert set(notes.program.tolist()) == {40}


def test_files_that_count_time_codes_are_continued():
    midi = midi_file.parse(
        file(on(3, 60) + off(50, 60) + on(0, 61) + off(47, 61), division=(256 - 25) << 8 | 40)
    )
    frames = roll.to_roll(midi.in_seconds(), SECONDS)
    written = Performance.after(midi, SECONDS, len(frames)).to_midi(frames)
    np.testing.assert_allclose(written.in_seconds().start, midi.in_seconds().start, atol=1e-9)


def test_long_silences_are_written():
    midi = midi_file.parse(file(on(0, 60) + off(480, 60)))
    late = midi._replace(notes=midi.notes._replace(length=3.0 * midi_writer.MAX_TICKS))
    assert midi_file.parse(midi_writer.to_bytes(late)).notes.length == 3 * midi_writer.MAX_TICKS
