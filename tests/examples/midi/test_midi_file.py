"""MIDI files: valid ones are parsed as other libraries do, all others are refused."""

import io
import struct
import tracemalloc

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq.examples.midi.music import midi_file
from vaeseq.examples.midi.music.midi_file import DRUMS, Refused


def chunk(name, body):
    return name + struct.pack(">I", len(body)) + body


def file(*tracks, division=480, kind=1):
    header = struct.pack(">HHH", kind, len(tracks), division)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


def variable(value):
    """Encodes a variable-length number."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def on(delta, key, velocity=64, channel=0):
    return variable(delta) + bytes([0x90 | channel, key, velocity])


def off(delta, key, channel=0):
    return variable(delta) + bytes([0x80 | channel, key, 0])


def pedal(delta, value, channel=0):
    return variable(delta) + bytes([0xB0 | channel, 64, value])


def tempo(delta, microseconds):
    return variable(delta) + b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def meter(delta, numerator, power):
    return variable(delta) + bytes([0xFF, 0x58, 4, numerator, power, 24, 8])


def key(delta, sharps, minor=0):
    return variable(delta) + bytes([0xFF, 0x59, 2, sharps % 256, minor])


def program(delta, number, channel=0):
    return variable(delta) + bytes([0xC0 | channel, number])


def seconds(data):
    return midi_file.parse(data).in_seconds()


def test_times_of_a_note_in_seconds_and_beats():
    notes = seconds(file(on(480, 60, 100) + off(240, 60)))
    assert [x.tolist() for x in notes[:5]] == [[0.5], [0.75], [60], [100], [0]]
    assert notes.length == 0.75
    assert midi_file.parse(file(on(480, 60) + off(240, 60))).in_beats().start == 1


def test_tempo_changes_are_followed():
    data = file(tempo(0, 500_000) + tempo(480, 1_000_000), on(0, 60) + off(960, 60))
    assert seconds(data).end == 0.5 + 1.0
    assert midi_file.parse(data).tempo == pytest.approx(60 * 2 / 1.5)


def test_the_last_of_several_tempos_at_a_tick_counts_in_any_track():
    data = file(tempo(0, 250_000), tempo(0, 1_000_000) + on(0, 60) + off(480, 60))
    assert seconds(data).end == 1.0


def test_meters_and_keys_are_parsed():
    data = file(meter(0, 3, 2) + key(0, -3, 1) + meter(1440, 6, 3), key(480, 7))
    midi = midi_file.parse(data)
    assert midi.time_signatures == ((0, 3, 4), (1440, 6, 8))
    assert [x.bar for x in midi.time_signatures] == [3, 3]
    assert midi.key_signatures == ((0, -3, True), (480, 7, False))


def test_meters_and_keys_that_make_no_sense_are_ignored():
    data = file(meter(0, 0, 2) + meter(1, 4, 255) + key(0, 8) + key(1, -128) + key(1, 0, 2))
    midi = midi_file.parse(data)
    assert (midi.time_signatures, midi.key_signatures) == ((), ())


def test_time_codes_give_seconds_but_no_beats():
    data = file(
        on(0, 60) + off(50, 60), division=(256 - 25) << 8 | 2
    )  # 25 frames per second, 2 ticks each
    assert seconds(data).end == 1.0
    with pytest.raises(Refused, match="time codes"):
        midi_file.parse(data).in_beats()


def test_a_pedal_holds_the_notes_of_its_channel_until_its_release():
    data = file(
        pedal(0, 64) + pedal(960, 63) + pedal(0, 127),
        on(0, 60) + off(480, 60) + on(0, 62, channel=1) + off(10, 62, channel=1),
        on(960, 64) + off(0, 65) + off(480, 64),
    )
    notes = midi_file.parse(data).in_beats()
    assert dict(zip(notes.pitch.tolist(), notes.end.tolist(), strict=True)) == {
        60: 2.0,  # the release
        62: 490 / 480,  # another channel
        64: 3.0,  # never released: the end of the piece
    }


def test_drums_have_their_own_program():
    data = file(program(0, 19) + on(0, 60) + off(9, 60) + on(0, 36, channel=9) + off(9, 36, 9))
    assert seconds(data).program.tolist() == [19, DRUMS]


def test_files_with_the_most_ticks_per_beat_are_parsed():
    beats = 1000
    data = file(on(0, 60) + off(32767 * beats, 60), division=32767)
    assert seconds(data).end == beats / 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a MIDI file"),
        (b"RIFF\0\0\0\0RMID", "not a MIDI file"),
        (file(kind=2), "format 2"),
        (file(division=0), "time division"),
        (file(on(0, 60), division=0x8001), "time division"),
        (file(), "no tracks"),
        (file(on(0, 60))[:-2], "cut short"),
        (file(b"\x81\x80\x80\x80\x00" + on(0, 60)[1:]), "more than four bytes"),
        (file(on(0, 60)[:-1]), "ends in the middle of an event in track 1"),
        (file(b"", b"\x00\xff\x01\x7fabc"), "ends in the middle of an event in track 2"),
        (file(b"\x00\xf0\xff\xff\xff\x7f"), "ends in the middle"),
        (file(b"\x00\x3c\x40"), "data byte where an event should begin"),
        (file(b"\x00\xf4\x00"), "0xf4 where an event should begin"),
        (file(b"\x00\x90\x3c\x90"), "status byte in the middle"),
        (file(tempo(0, 0)), "tempo of zero"),
        (file(*[b""] * 1025), "1025 tracks"),
        (b"MThd" + bytes(1 << 25), "bytes, above the limit"),
    ],
)
def test_invalid_files_are_refused_with_a_reason(data, reason):
    with pytest.raises(Refused, match=reason):
        midi_file.parse(data)


def test_too_many_notes_are_refused():
    many = b"\x00\x90\x3c\x40" + b"\x01\x3c\x00\x01\x3c\x40" * 100_000
    with pytest.raises(Refused, match="more than 100000 notes"):
        midi_file.parse(file(many))


@pytest.mark.parametrize("name", ["pedals", "tempos", "distant tempos"])
def test_too_many_changes_of_the_pedal_and_the_tempo_are_refused(name):
    with pytest.raises(Refused, match="more than 300000 changes of pedal, tempo, meter and key"):
        midi_file.parse(file(HOSTILE[name](3_100_000)))


def test_a_piece_that_lasts_days_is_refused():
    data = file(tempo(0, 0xFFFFFF) + on(0, 60) + off(0x0FFFFFFF, 60), division=1)
    with pytest.raises(Refused, match=r"lasts \d+ seconds"):
        seconds(data)


FIRST = b"\x00\x90\x3c\x40"
HOSTILE = {  # tracks of about n bytes
    "a number without end": lambda n: b"\x80" * n,
    "nothing": bytes,
    "the smallest events": lambda n: b"\x00\xc0\x00" + b"\x00\x00" * (n // 2),
    "notes that never end": lambda n: FIRST + b"\x00\x3c\x40" * (n // 3),
    "notes": lambda n: FIRST + b"\x01\x3c\x00\x01\x3c\x40" * (n // 6),
    "slow notes": lambda n: FIRST + b"\x87\x7f\x3c\x00\x87\x7f\x3c\x40" * (n // 8),
    "many notes, one end": lambda n: FIRST + b"\x00\x3c\x40" * min(n // 3, 99_999) + off(9, 60),
    "on and off on one tick": lambda n: FIRST + b"\x00\x3c\x40\x00\x3c\x00" * (n // 6),
    "many on, many off": lambda n: (
        FIRST + b"\x00\x3c\x40" * min(n // 6, 99_999) + b"\x00\x3c\x00" * (n // 6)
    ),
    "pedals": lambda n: b"\x00\xb0\x40\x7f" + b"\x01\x40\x00\x01\x40\x7f" * (n // 6),
    "tempos": lambda n: tempo(1, 1) * (n // 7),
    "distant tempos": lambda n: b"\xff\xff\xff\x7f\xff\x51\x03\x00\x00\x01" * (n // 10),
    "meters": lambda n: meter(1, 3, 2) * (n // 8),
    "tracks": lambda n: chunk(b"MTrk", b"") * (n // 8),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_is_bounded_by_the_size_of_the_file(name):
    """At most 200 bytes per byte of the file. benchmarks/speed/midi_reading.py measures time."""
    data = file(HOSTILE[name](1 << 16))
    tracemalloc.start()
    outcome(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * len(data)


def outcome(data):
    """Returns the notes, or the reason of a refusal; fails on any other exception."""
    try:
        midi = midi_file.parse(data)
        notes = midi.in_seconds()
        assert np.isfinite(notes.start).all() and np.isfinite(notes.end).all()
        assert (notes.end >= notes.start).all() and (notes.start >= 0).all()
        assert notes.length >= notes.end.max(initial=0) - 1e-6
        assert np.isfinite(midi.tempo)
        return notes
    except Refused as error:
        return str(error)


events = st.one_of(
    st.builds(on, st.integers(0, 300), st.integers(55, 65), st.integers(0, 127), st.integers(0, 1)),
    st.builds(off, st.integers(0, 300), st.integers(55, 65), st.integers(0, 1)),
    st.builds(program, st.integers(0, 300), st.integers(0, 127), st.integers(0, 1)),
    st.builds(tempo, st.integers(0, 300), st.integers(1, 2_000_000)),
)
tracks = st.lists(events, min_size=1, max_size=40).map(b"".join)
END = b"\x00\xff\x2f\x00"


@settings(max_examples=50, deadline=None)
@given(st.lists(tracks, min_size=1, max_size=3), st.integers(1, 960))
def test_structured_files_are_parsed_as_pretty_midi_does(bodies, division):
    """Tempos are only in the first track, where pretty_midi looks, and not at its first event."""
    first = tempo(0, 500_000) + bodies[0]
    bodies = [first, *(b"".join(_without_tempos(body)) for body in bodies[1:])]
    data = file(*(body + END for body in bodies), division=division)
    other = pretty_midi.PrettyMIDI(io.BytesIO(data))
    expected = sorted(
        (note.start, note.pitch, note.end, note.velocity, instrument.program)
        for instrument in other.instruments
        for note in instrument.notes
    )
    notes = seconds(data)
    columns = (notes.start, notes.pitch, notes.end, notes.velocity, notes.program)
    ours = sorted(zip(*columns, strict=True))
    np.testing.assert_allclose(ours, expected, atol=1e-9) if expected else None
    assert len(ours) == len(expected)


def _without_tempos(body):
    midi = mido.MidiFile(file=io.BytesIO(file(body + END)))
    for message in midi.tracks[0]:
        if not message.is_meta:
            yield variable(message.time) + bytes(message.bin())


@settings(deadline=None)
@given(st.lists(st.one_of(tracks, st.binary(max_size=60)), max_size=3), st.integers(0, 0xFFFF))
def test_structured_files_with_rubbish_are_parsed_or_refused(bodies, division):
    outcome(file(*bodies, division=division))


REAL = file(
    tempo(0, 600_000) + tempo(700, 400_000) + END,
    program(0, 40)
    + b"".join(
        on(i % 7, 60 + i % 12) + pedal(3, 127 * (i % 2)) + off(50, 60 + i % 12) for i in range(60)
    )
    + END,
    b"\x00\xff\x03\x05drums" + b"".join(on(5, 36, 90, 9) + off(9, 36, 9) for _ in range(40)) + END,
)


@st.composite
def mutations(draw):
    """The bytes of `REAL` with up to six mutations."""
    mutated = bytearray(REAL)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(mutated) - 1))
        kind = draw(st.sampled_from(["set", "cut", "double", "insert"]))
        if kind == "set":
            mutated[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del mutated[at : at + draw(st.integers(1, 20))]
        elif kind == "double":
            mutated[at:at] = mutated[at : at + 30]
        else:
            mutated[at:at] = draw(st.binary(max_size=8))
        if not mutated:
            break
    return bytes(mutated)


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_mutated_files_are_parsed_or_refused(examples):
    @settings(max_examples=examples, deadline=None)
    @given(mutations())
    def check(data):
        outcome(data)

    check()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data):
    outcome(data)
    outcome(b"MThd" + data)
