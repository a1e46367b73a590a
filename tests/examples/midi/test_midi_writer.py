"""What is written is what is parsed."""

import io

import mido
import numpy as np
import pytest

from tests.examples.midi.test_midi_file import file, key, meter, off, on, program, tempo
from vaeseq.examples.midi.music import midi_file, midi_writer
from vaeseq.examples.midi.music.midi_file import DRUMS


def parts(data):
    """Returns program and channel of each track that has notes."""
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks[1:]:
        programs = [x.program for x in track if x.type == "program_change"]
        channels = {x.channel for x in track if hasattr(x, "channel")}
        assert len(channels) == 1
        yield (programs or [DRUMS])[0], channels.pop()


def assert_equal(before, after):
    for name, x in before.notes._asdict().items():
        assert np.array_equal(x, getattr(after.notes, name)), name
    np.testing.assert_allclose(after.tempos, before.tempos, rtol=1e-12)
    assert np.array_equal(after.tempo_ticks, before.tempo_ticks)
    assert after[3:] == before[3:]


def test_writing_is_the_inverse_of_parsing():
    data = file(
        tempo(0, 666_667) + meter(0, 3, 2) + key(0, -3, 1) + tempo(480, 412_345) + key(9, 7),
        program(0, 40) + on(7, 60, 101) + on(13, 64, 1) + off(460, 60) + off(31, 64) + on(0, 60),
        on(100, 36, 90, channel=9) + off(5, 36, channel=9) + off(3000, 60),
        division=96,
    )
    before = midi_file.parse(data)
    assert_equal(before, midi_file.parse(midi_writer.to_bytes(before)))


def test_a_key_that_an_instrument_plays_twice_at_once_is_written_twice():
    """On one channel, the first end would end both."""
    data = file(
        on(0, 60) + off(480, 60), on(0, 60, channel=1) + off(960, 60, channel=1) + on(0, 61)
    )
    before = midi_file.parse(data)
    written = midi_writer.to_bytes(before)
    assert_equal(before, midi_file.parse(written))
    assert list(parts(written)) == [(0, 0), (0, 1)]


def test_many_instruments_share_channels_and_say_their_program_at_each_note():
    tracks = [program(0, number) + on(number, 60) + off(480, 60) for number in range(20)]
    before = midi_file.parse(file(*tracks, on(0, 36, channel=9) + off(1, 36, channel=9)))
    written = midi_writer.to_bytes(before)
    assert_equal(before, midi_file.parse(written))
    found = list(parts(written))
    assert [x[0] for x in found] == [*range(20), DRUMS]
    assert found[-1][1] == 9 and all(channel != 9 for _, channel in found[:-1])
    merged = mido.merge_tracks(mido.MidiFile(file=io.BytesIO(written)).tracks)
    current = {}
    for message in merged:
        if message.type == "program_change":
            current[message.channel] = message.program
        elif message.type == "note_on" and message.channel != 9:
            assert current[message.channel] in range(20)
    names = [x.program for x in merged if x.type == "program_change"]
    assert len(names) == 40  # at the start, and before each note


@pytest.mark.parametrize("count", [0, 40])
def test_a_piece_of_no_notes_or_of_one_key_struck_again_and_again_is_written(count):
    notes = b"".join(on(0, 60) for _ in range(count))
    before = midi_file.parse(file(notes + off(960, 60)))
    after = midi_file.parse(midi_writer.to_bytes(before))
    assert len(after.notes.start) == count and after.notes.length == 960
