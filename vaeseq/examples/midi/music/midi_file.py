"""Standard MIDI files from strangers: read in one bounded pass, or refused with a reason.

A file is data that somebody else has made, perhaps to do harm. Every byte is looked at once and
checked before it is used; what is kept grows with the file and with nothing that is written in it.
(The libraries for this read numbers of any length, and take some 25 microseconds an event: eight
seconds for a file of one megabyte.)

The format: MIDI 1.0 Detailed Specification, "Standard MIDI Files 1.0" (RP-001).
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

DRUMS = 128  # the program of channel 10, beside the 128 of General MIDI

MOST_BYTES = 16 << 20
_MOST_TRACKS = 1024
_MOST_NOTES = 100_000
_MOST_SECONDS = 6 * 3600
_DRUM_CHANNEL = 9
_SUSTAIN = 64
_DEFAULT_TEMPO = 500_000  # microseconds a beat
_META, _SYSEX, _SYSEX_END = 0xFF, 0xF0, 0xF7
_TEMPO_META = 0x51


class Refused(Exception):
    """Says in a few words what is wrong with a file."""


class Notes(NamedTuple):
    """The notes of a piece, arrays [N] by start, and how long it lasts; in one unit of time."""

    start: np.ndarray
    end: np.ndarray
    pitch: np.ndarray  # MIDI numbers, 60 is middle C
    velocity: np.ndarray  # 1 to 127
    program: np.ndarray  # of General MIDI, from 0, or `DRUMS`
    length: float

    def select(self, chosen: np.ndarray) -> "Notes":
        """Only the chosen notes, bool [N]; the piece lasts as long."""
        return Notes._make([*(column[chosen] for column in self[:-1]), self.length])


class MidiFile(NamedTuple):
    """What a file says of notes, in ticks, and of time."""

    notes: Notes
    tempo_ticks: np.ndarray  # where a tempo begins; the first is 0
    tempos: np.ndarray  # seconds a tick
    ticks_per_beat: int | None  # None where the file counts time codes

    def in_seconds(self) -> Notes:
        """The notes by the file's tempos; `Refused` where they last too long."""
        before = np.diff(self.tempo_ticks) * self.tempos[:-1]
        begins = np.concatenate([[0.0], np.cumsum(before)])

        def seconds(ticks: np.ndarray) -> np.ndarray:
            at = np.searchsorted(self.tempo_ticks, ticks, side="right") - 1
            return begins[at] + (ticks - self.tempo_ticks[at]) * self.tempos[at]

        notes = self._timed(seconds)
        if notes.length > _MOST_SECONDS:
            raise Refused(f"lasts {notes.length:.0f} seconds, above {_MOST_SECONDS}")
        return notes

    def in_beats(self) -> Notes:
        """The notes by the file's beats; `Refused` where it has none."""
        if self.ticks_per_beat is None:
            raise Refused("counts time codes, not beats")
        return self._timed(lambda ticks: ticks / self.ticks_per_beat)

    @property
    def tempo(self) -> float:
        """The mean tempo in beats a minute, 120 where the file has no beats or no length."""
        if self.ticks_per_beat is None or not self.notes.length:
            return 120.0
        return 60 * self.in_beats().length / self.in_seconds().length

    def _timed(self, time: Callable[[np.ndarray], np.ndarray]) -> Notes:
        notes = self.notes
        length = float(time(np.array([notes.length]))[0])
        return notes._replace(start=time(notes.start), end=time(notes.end), length=length)


def read(data: bytes) -> MidiFile:
    """Reads a file, or raises `Refused`."""
    if len(data) > MOST_BYTES:
        raise Refused(f"has {len(data)} bytes, above {MOST_BYTES}")
    division, bodies = _chunks(data)
    notes: list[tuple[int, ...]] = []
    pedals: list[tuple[int, int, bool]] = []
    tempos, length = [(0, _DEFAULT_TEMPO)], 0
    for track, (at, end) in enumerate(bodies, 1):
        try:
            last = _read_track(_events(data, at, end), notes, pedals, tempos)
        except IndexError:
            raise Refused(f"track {track} ends in the middle of an event") from None
        length = max(length, last)
    if division < 0x8000:
        per_tick, ticks_per_beat = 1e-6 / division, division
    else:  # SMPTE: frames a second, negative, and ticks a frame
        frames = {24: 24, 25: 25, 29: 30 / 1.001, 30: 30}.get(256 - (division >> 8))
        if not frames or not division & 0xFF:
            raise Refused(f"has the time division {division}")
        per_tick, ticks_per_beat = 1 / frames / (division & 0xFF), None
        tempos = [(0, 1)]
    # Of several tempos on one tick the last counts.
    ticks, values = np.array(sorted(dict(tempos).items()), np.float64).T
    return MidiFile(_sustained(notes, pedals, length), ticks, values * per_tick, ticks_per_beat)


def _chunks(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """The time division, and where the events of the tracks begin and end."""
    if data[:4] != b"MThd" or len(data) < 14:
        raise Refused("is not a MIDI file: it does not begin with a header")
    size, kind, _, division = struct.unpack(">IHHH", data[4:14])
    if kind > 1:
        raise Refused(f"is of format {kind}; only 0 and 1 are music to be played together")
    if not division or size < 6:
        raise Refused("has a header without a time division")
    at, bodies = 8 + size, list[tuple[int, int]]()
    while at + 8 <= len(data):
        name, size = struct.unpack(">4sI", data[at : at + 8])
        at += 8
        if name == b"MTrk":  # other chunks are to be ignored
            if at + size > len(data):
                raise Refused(f"is cut short: track {len(bodies) + 1} ends after its end")
            bodies.append((at, at + size))
        at += size
    if not bodies:
        raise Refused("has no tracks")
    if len(bodies) > _MOST_TRACKS:
        raise Refused(f"has {len(bodies)} tracks, above {_MOST_TRACKS}")
    return division, bodies


def _events(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The events of a track that matter: tick, status, and two data bytes or the tempo and 0.

    Raises IndexError where the track ends in an event.
    """
    data = data[:end]
    tick = status = 0
    while at < end:
        delta, at = _variable(data, at)
        tick += delta
        first = data[at]
        if first >= 0x80:
            at += 1
            if first >= _SYSEX:
                kind = 0
                if first == _META:
                    kind = data[at]
                    at += 1
                elif first not in (_SYSEX, _SYSEX_END):
                    raise Refused(f"has the byte 0x{first:02x} where an event begins")
                size, at = _variable(data, at)
                if at + size > end:
                    raise IndexError
                if first == _META and kind == _TEMPO_META and size == 3:
                    yield tick, _META, int.from_bytes(data[at : at + 3], "big"), 0
                at += size
                continue
            status = first
        elif not status:
            raise Refused("has data where an event begins")
        a = data[at]
        if status & 0xE0 == 0xC0:  # program change or pressure: one data byte
            b = 0
            at += 1
        else:
            b = data[at + 1]
            at += 2
        if (a | b) & 0x80:
            raise Refused("has a status byte in the middle of an event")
        yield tick, status, a, b


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, at most four bytes, and where it ends."""
    value = 0
    for place in range(at, at + 4):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise Refused("has a number of more than four bytes")


def _read_track(
    events: Iterator[tuple[int, int, int, int]],
    notes: list[tuple[int, ...]],
    pedals: list[tuple[int, int, bool]],
    tempos: list[tuple[int, int]],
) -> int:
    """Adds what a track says; returns the tick of its last event of a channel.

    A note ends with the first note-off after its beginning. Notes without one are left out.
    """
    tick = 0
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    programs = [0] * 16
    programs[_DRUM_CHANNEL] = DRUMS
    struck_notes = len(notes)
    for now, status, a, b in events:
        kind, channel = status & 0xF0, status & 0x0F
        if status == _META:
            if not a:
                raise Refused("has a tempo of zero")
            tempos.append((now, a))
            continue
        tick = now
        if kind == 0x90 and b:
            sounding[channel, a].append((now, b))
            struck_notes += 1
            if struck_notes > _MOST_NOTES:
                raise Refused(f"has more than {_MOST_NOTES} notes")
        elif kind in (0x80, 0x90):
            struck = sounding.pop((channel, a), ())
            again = [note for note in struck if note[0] == now]
            for start, velocity in struck[: len(struck) - len(again)]:
                notes.append((start, now, a, velocity, programs[channel], channel))
            if again and len(again) < len(struck):  # off and on again, in this order or the other
                sounding[channel, a] = again
        elif kind == 0xC0 and channel != _DRUM_CHANNEL:
            programs[channel] = a
        elif kind == 0xB0 and a == _SUSTAIN:
            pedals.append((channel, now, b >= 64))
    return tick


def _sustained(
    notes: list[tuple[int, ...]], pedals: list[tuple[int, int, bool]], length: int
) -> Notes:
    """The notes by start; those that end while the pedal of their channel is down, at its release.

    A released pedal and one never released let a note go; the latter at the end of the piece.
    """
    columns = np.array(notes, np.float64).reshape(-1, 6)
    columns = columns[np.lexsort((columns[:, 2], columns[:, 0]))]
    start, end, pitch, velocity, program, channel = columns.T
    for number in {pedal[0] for pedal in pedals}:
        changes = sorted((tick, down) for on, tick, down in pedals if on == number)
        ticks, downs = np.array(changes, np.float64).T
        releases = np.append(ticks[downs == 0], length)
        before = np.searchsorted(ticks, end, side="right") - 1
        held = (channel == number) & (before >= 0) & (downs[before] == 1)
        end[held] = releases[np.searchsorted(releases, end[held])]
    whole = (x.astype(np.int32) for x in (pitch, velocity, program))
    return Notes._make([start, end, *whole, length])
