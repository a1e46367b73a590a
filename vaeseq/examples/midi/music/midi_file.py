"""A parser of untrusted standard MIDI files: one bounded pass, or a refusal with a reason.

A file may be malicious. The parser looks at every byte once and checks it before use; memory grows
with the size of the file and not with any number in it. (The libraries for this task parse numbers
of any length and take about 25 microseconds per event, i.e. 8 seconds for a file of 1 MB.)

The format: MIDI 1.0 Detailed Specification, "Standard MIDI Files 1.0" (RP-001).
"""

import itertools
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

DRUMS = 128  # the program number given to channel 10, after the 128 of General MIDI

MAX_BYTES = 16 << 20
_MAX_TRACKS = 1024
_MAX_NOTES = 100_000
_MAX_CHANGES = 300_000  # of the pedal, the tempo, the meter and the key
_MAX_SECONDS = 6 * 3600
_DRUM_CHANNEL = 9
_SUSTAIN = 64
_DEFAULT_TEMPO = 500_000  # microseconds per beat
_META, _SYSEX, _SYSEX_END = 0xFF, 0xF0, 0xF7
_TEMPO, _TIME_SIGNATURE, _KEY_SIGNATURE = 0x51, 0x58, 0x59
_META_BYTES = {_TEMPO: 3, _TIME_SIGNATURE: 4, _KEY_SIGNATURE: 2}  # the others are ignored
_MAX_SHARPS, _MAX_UNIT = 7, 6  # a beat is at least a 64th


class Refused(Exception):
    """A file or piece that cannot be used; the message gives the reason in a few words."""


class Notes(NamedTuple):
    """The notes of a piece as arrays [N], sorted by start, and its length, in one unit of time."""

    start: np.ndarray
    end: np.ndarray
    pitch: np.ndarray  # MIDI numbers; 60 is middle C
    velocity: np.ndarray  # 1 to 127
    program: np.ndarray  # General MIDI program, from 0, or `DRUMS`
    length: float

    def select(self, chosen: np.ndarray) -> "Notes":
        """Returns the chosen notes, bool [N]; the length does not change."""
        return Notes._make([*(column[chosen] for column in self[:-1]), self.length])


class TimeSignature(NamedTuple):
    """A meter, such as 3/4, and the tick at which it begins."""

    tick: int
    numerator: int
    denominator: int

    @property
    def bar(self) -> float:
        """The length of a bar in beats, i.e. in quarter notes."""
        return 4 * self.numerator / self.denominator


class KeySignature(NamedTuple):
    """A key and the tick at which it begins."""

    tick: int
    sharps: int  # negative for flats
    minor: bool


class MidiFile(NamedTuple):
    """The notes of a file, with times in ticks, its tempos and its signatures."""

    notes: Notes
    tempo_ticks: np.ndarray  # the tick at which each tempo begins; the first is 0
    tempos: np.ndarray  # seconds per tick
    ticks_per_beat: int | None  # None if the file counts time codes
    time_signatures: tuple[TimeSignature, ...] = ()
    key_signatures: tuple[KeySignature, ...] = ()

    def in_seconds(self) -> Notes:
        """Returns the notes with times in seconds, which follow the tempos of the file.

        Raises:
          Refused: if the piece is too long.
        """
        notes = self.with_times(self.seconds_at)
        if notes.length > _MAX_SECONDS:
            raise Refused(f"lasts {notes.length:.0f} seconds, above the limit of {_MAX_SECONDS}")
        return notes

    def in_beats(self) -> Notes:
        """Returns the notes with times in beats.

        Raises:
          Refused: if the file has no beats.
        """
        ticks_per_beat = self.ticks_per_beat
        if ticks_per_beat is None:
            raise Refused("counts time in time codes, not beats")
        return self.with_times(lambda ticks: ticks / ticks_per_beat)

    def seconds_at(self, ticks: np.ndarray) -> np.ndarray:
        """Converts ticks to seconds."""
        at = np.searchsorted(self.tempo_ticks, ticks, side="right") - 1
        return self._tempo_seconds()[at] + (ticks - self.tempo_ticks[at]) * self.tempos[at]

    def ticks_at(self, seconds: np.ndarray) -> np.ndarray:
        """Converts seconds to ticks, which need not be whole."""
        begins = self._tempo_seconds()
        at = np.searchsorted(begins, seconds, side="right") - 1
        return self.tempo_ticks[at] + (seconds - begins[at]) / self.tempos[at]

    def _tempo_seconds(self) -> np.ndarray:
        """Returns the second at which each tempo begins."""
        return np.append(0.0, np.cumsum(np.diff(self.tempo_ticks) * self.tempos[:-1]))

    @property
    def tempo(self) -> float:
        """The mean tempo in beats per minute; 120 if the file has no beats or no length."""
        if self.ticks_per_beat is None or not self.notes.length:
            return 120.0
        return 60 * self.in_beats().length / self.in_seconds().length

    def with_times(self, time: Callable[[np.ndarray], np.ndarray]) -> Notes:
        """Returns the notes with their ticks converted by a function of arrays."""
        notes = self.notes
        length = float(time(np.array([notes.length]))[0])
        return notes._replace(start=time(notes.start), end=time(notes.end), length=length)


# Plain tuples, because the parser makes one per event and named tuples take longer to make.
_Event = tuple[int, int, int, int]  # tick, status, and two data bytes, or kind and value of a meta
_Note = tuple[int, int, int, int, int, int]  # start, end, pitch, velocity, program, channel
_Pedal = tuple[int, int, bool]  # channel, tick, whether it goes down
_Metas = dict[int, list[tuple[int, int]]]  # for each kind, pairs of a tick and a value


def parse(data: bytes) -> MidiFile:
    """Parses the bytes of a MIDI file.

    Raises:
      Refused: if the file is invalid, of format 2 or too large.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"has {len(data)} bytes, above the limit of {MAX_BYTES}")
    division, bodies = _parse_chunks(data)
    notes: list[_Note] = []
    pedals: list[_Pedal] = []
    metas: _Metas = {_TEMPO: [(0, _DEFAULT_TEMPO)], _TIME_SIGNATURE: [], _KEY_SIGNATURE: []}
    length = 0
    for track, (at, end) in enumerate(bodies, 1):
        try:
            last = _collect_track(_parse_events(data, at, end), notes, pedals, metas)
        except IndexError:
            raise Refused(f"ends in the middle of an event in track {track}") from None
        length = max(length, last)
    if division < 0x8000:
        per_tick, ticks_per_beat = 1e-6 / division, division
    else:  # SMPTE: the negative number of frames per second, and ticks per frame
        frames = {24: 24, 25: 25, 29: 30 / 1.001, 30: 30}.get(256 - (division >> 8))
        if not frames or not division & 0xFF:
            raise Refused(f"has the invalid time division {division}")
        per_tick, ticks_per_beat = 1 / frames / (division & 0xFF), None
        metas[_TEMPO] = [(0, 1)]
    # If several values share a tick, the last one counts.
    tempos, meters, keys = (sorted(dict(values).items()) for values in metas.values())
    ticks, values = np.array(tempos, np.float64).T
    return MidiFile(
        _sustain(notes, pedals, length),
        ticks,
        values * per_tick,
        ticks_per_beat,
        tuple(filter(None, itertools.starmap(_time_signature, meters))),
        tuple(filter(None, itertools.starmap(_key_signature, keys))),
    )


def _time_signature(tick: int, value: int) -> TimeSignature | None:
    """Returns a time signature, given its four bytes; None if it makes no sense."""
    numerator, unit = value >> 24, value >> 16 & 0xFF
    if not numerator or unit > _MAX_UNIT:
        return None
    return TimeSignature(tick, numerator, 1 << unit)


def _key_signature(tick: int, value: int) -> KeySignature | None:
    """Returns a key signature, given its two bytes; None if it makes no sense."""
    sharps, minor = ((value >> 8) ^ 0x80) - 0x80, value & 0xFF  # the first byte has a sign
    if abs(sharps) > _MAX_SHARPS or minor > 1:
        return None
    return KeySignature(tick, sharps, bool(minor))


def _parse_chunks(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Returns the time division, and where the events of each track begin and end."""
    if data[:4] != b"MThd" or len(data) < 14:
        raise Refused("is not a MIDI file: it does not begin with a header")
    size, kind, _, division = struct.unpack(">IHHH", data[4:14])
    if kind > 1:
        raise Refused(f"is a MIDI file of format {kind}; supported: 0, 1")
    if not division or size < 6:
        raise Refused("has a header without a time division")
    at, bodies = 8 + size, list[tuple[int, int]]()
    while at + 8 <= len(data):
        name, size = struct.unpack(">4sI", data[at : at + 8])
        at += 8
        if name == b"MTrk":  # the specification says to ignore other chunks
            if at + size > len(data):
                raise Refused(f"is cut short: the file ends before track {len(bodies) + 1} does")
            bodies.append((at, at + size))
        at += size
    if not bodies:
        raise Refused("has no tracks")
    if len(bodies) > _MAX_TRACKS:
        raise Refused(f"has {len(bodies)} tracks, above the limit of {_MAX_TRACKS}")
    return division, bodies


def _parse_events(data: bytes, at: int, end: int) -> Iterator[_Event]:
    """Yields the events of a track that count: those of channels and of `_META_BYTES`.

    Raises:
      IndexError: if the track ends in the middle of an event.
      Refused: if an event is invalid.
    """
    data = data[:end]
    tick = status = 0
    while at < end:
        delta, at = _parse_variable(data, at)
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
                    raise Refused(f"has the byte 0x{first:02x} where an event should begin")
                size, at = _parse_variable(data, at)
                if at + size > end:
                    raise IndexError
                if first == _META and size == _META_BYTES.get(kind):
                    yield tick, _META, kind, int.from_bytes(data[at : at + size], "big")
                at += size
                continue
            status = first
        elif not status:
            raise Refused("has a data byte where an event should begin")
        a = data[at]
        if status & 0xE0 == 0xC0:  # program change or channel pressure: one data byte
            b = 0
            at += 1
        else:
            b = data[at + 1]
            at += 2
        if (a | b) & 0x80:
            raise Refused("has a status byte in the middle of an event")
        yield tick, status, a, b


def _parse_variable(data: bytes, at: int) -> tuple[int, int]:
    """Parses a variable-length number; returns the number and the position after it."""
    value = 0
    for place in range(at, at + 4):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise Refused("has a variable-length number of more than four bytes")


def _collect_track(
    events: Iterator[_Event],
    notes: list[_Note],
    pedals: list[_Pedal],
    metas: _Metas,
) -> int:
    """Adds the events of a track to the lists; returns the tick of its last channel event.

    A note ends at the first note-off after its start. Notes that never end are left out.
    """
    tick = 0
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    programs = [0] * 16
    programs[_DRUM_CHANNEL] = DRUMS
    num_struck = len(notes)
    for now, status, a, b in events:
        kind, channel = status & 0xF0, status & 0x0F
        if status == _META:
            if a == _TEMPO and not b:
                raise Refused("has a tempo of zero")
            metas[a].append((now, b))
            _check_changes(pedals, metas)
            continue
        tick = now
        if kind == 0x90 and b:
            sounding[channel, a].append((now, b))
            num_struck += 1
            if num_struck > _MAX_NOTES:
                raise Refused(f"has more than {_MAX_NOTES} notes")
        elif kind in (0x80, 0x90):
            struck = sounding.pop((channel, a), ())
            again = [note for note in struck if note[0] == now]
            for start, velocity in struck[: len(struck) - len(again)]:
                notes.append((start, now, a, velocity, programs[channel], channel))
            if again and len(again) < len(struck):  # off and on at one tick, in either order
                sounding[channel, a] = again
        elif kind == 0xC0 and channel != _DRUM_CHANNEL:
            programs[channel] = a
        elif kind == 0xB0 and a == _SUSTAIN:
            pedals.append((channel, now, b >= 64))
            _check_changes(pedals, metas)
    return tick


def _check_changes(pedals: list[_Pedal], metas: _Metas) -> None:
    if len(pedals) + sum(map(len, metas.values())) > _MAX_CHANGES:
        raise Refused(f"has more than {_MAX_CHANGES} changes of pedal, tempo, meter and key")


def _sustain(notes: list[_Note], pedals: list[_Pedal], length: int) -> Notes:
    """Sorts the notes by start, and holds those that end while the pedal is down.

    They end when the pedal of their channel is released, or else when the piece ends.
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
    integers = (x.astype(np.int32) for x in (pitch, velocity, program))
    return Notes._make([start, end, *integers, length])
