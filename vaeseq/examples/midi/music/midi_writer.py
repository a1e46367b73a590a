"""Writes a piece as a standard MIDI file (type 1): the inverse of `midi_file.parse`."""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import mido
import numpy as np

from vaeseq.examples.midi.music.midi_file import DRUMS, MidiFile, Notes

MAX_TICKS_PER_BEAT = 0x7FFF
MAX_TICKS = 0x0FFF_FFFF  # between two events
_DRUM_CHANNEL = 9
_CHANNELS = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
_MAX_LAYERS = 15
_ALL_NOTES_OFF = 123
_SLOWEST = 0xFF_FFFF  # microseconds per beat, the most that a file can say
_MAJOR = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")

_Event = tuple[float, int, mido.Message | mido.MetaMessage]  # tick, rank within the tick, message


def to_bytes(midi: MidiFile) -> bytes:
    """Converts a piece that counts beats to the bytes of a MIDI file.

    The first track has the tempos and signatures. Each instrument has a track, or several if it
    plays a key again that it holds already. An event at the end of each track marks the end of a
    final silence.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=midi.ticks_per_beat)
    file.tracks.append(_track(_metas(midi)))
    parts = list(_parts(midi.notes))
    # With more parts than channels, parts share a channel, and name their program at each note.
    is_shared = sum(program != DRUMS for program, _ in parts) > len(_CHANNELS)
    pitched = 0
    for program, notes in parts:
        channel = _DRUM_CHANNEL
        if program != DRUMS:
            channel, pitched = _CHANNELS[pitched % len(_CHANNELS)], pitched + 1
        file.tracks.append(_track(_channel_events(notes, program, channel, is_shared)))
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def _parts(notes: Notes) -> Iterator[tuple[int, Notes]]:
    """Yields a program and its notes, such that no two notes of a key overlap in one part."""
    layers = _layers(notes)
    found = sorted(set(zip(notes.program.tolist(), layers.tolist(), strict=True)))
    for program, layer in found or [(0, 0)]:
        yield program, notes.select((notes.program == program) & (layers == layer))


def _layers(notes: Notes) -> np.ndarray:
    """Returns the layer of each note, int [N]: a note that overlaps others has its own."""
    layers = np.zeros(len(notes.start), int)
    ends: dict[tuple[int, int], list[float]] = defaultdict(lambda: [-1.0] * _MAX_LAYERS)
    columns = zip(*(column.tolist() for column in notes[:5]), strict=True)
    for index, (start, end, pitch, _, program) in enumerate(columns):
        last = ends[program, pitch]
        free = (layer for layer, until in enumerate(last) if until <= start)
        layers[index] = layer = next(free, _MAX_LAYERS - 1)
        last[layer] = end
    return layers


def _metas(midi: MidiFile) -> Iterator[_Event]:
    """Yields the tempos and signatures."""
    beat = np.rint(midi.tempos * (midi.ticks_per_beat or 1) * 1e6).clip(1, _SLOWEST)
    for tick, tempo in zip(midi.tempo_ticks.tolist(), beat.astype(int).tolist(), strict=True):
        yield tick, 0, mido.MetaMessage("set_tempo", tempo=tempo)
    for at, numerator, denominator in midi.time_signatures:
        yield (
            at,
            0,
            mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator),
        )
    for at, sharps, minor in midi.key_signatures:
        name = _MINOR[sharps + 7] + "m" if minor else _MAJOR[sharps + 7]
        yield at, 0, mido.MetaMessage("key_signature", key=name)


def _channel_events(notes: Notes, program: int, channel: int, is_shared: bool) -> Iterator[_Event]:
    """Yields the events of one part. At one tick, notes end before others start."""
    change = mido.Message("program_change", channel=channel, program=program % DRUMS)
    if program != DRUMS:
        yield 0, 0, change
    columns: Sequence[list[int]] = [column.tolist() for column in notes[:4]]
    for start, end, pitch, velocity in zip(*columns, strict=True):
        if is_shared and program != DRUMS:
            yield start, 1, change
        on = {"channel": channel, "note": pitch, "velocity": velocity}
        yield start, 2, mido.Message("note_on", **on)
        yield end, 0, mido.Message("note_off", **on | {"velocity": 0})
    yield notes.length, 3, mido.Message("control_change", channel=channel, control=_ALL_NOTES_OFF)


def _track(events: Iterable[_Event]) -> mido.MidiTrack:
    """Returns a track of events with the ticks since the event before."""
    track, before = mido.MidiTrack(), 0
    for at, _, message in sorted(events, key=lambda event: (round(event[0]), event[1])):
        while round(at) - before > MAX_TICKS:
            track.append(mido.MetaMessage("text", time=MAX_TICKS))
            before += MAX_TICKS
        track.append(message.copy(time=round(at) - before))
        before = round(at)
    return track
