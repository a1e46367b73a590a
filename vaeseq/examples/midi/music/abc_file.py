"""Reads untrusted tunes in ABC notation: one bounded pass, or a refusal with a reason.

A file contains any number of tunes. Repeats are expanded, with their endings. Grace notes,
decorations, chord symbols and lyrics are left out; macros and the order of parts (`P:`) are not
followed. (music21 10 forgets naturals before the end of the bar and broken rhythms at the end of a
slur, repeats some passages too often, and takes minutes for a book of 2,000 tunes.)

The format: C. Walshaw et al., "The abc music standard 2.1" (2011). As many files do, a tune may use
older forms, such as `!` for the end of a line and `Q:120` for the tempo.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from vaeseq.examples.midi.music.midi_file import (
    KeySignature,
    MidiFile,
    Notes,
    Refused,
    TimeSignature,
)

SUFFIXES = (".abc",)

TICKS = 10080  # per beat; divisible by all numbers up to 10
TEMPO = 120.0  # beats per minute, where a tune gives none

_TEMPOS = (4.0, 1000.0)  # beats per minute; others are ignored
_VELOCITY, _PROGRAM = 64, 0

MAX_BYTES = 4 << 20
_MAX_TUNES = 10_000
_MAX_NOTES = 1_000_000  # of a file; bars count, too; both as they are written and as played
_MAX_PLAYS = 9  # of a repeated passage
_MAX_CHORD = 32
_MAX_BAR = 100_000 * TICKS
_MAX_FIELD = 200  # characters that are read
_MAX_HALVINGS = 8  # such as the number of slashes after a note
_MAX_SHARPS = 7
_MAX_NUMERATOR = 255
_DENOMINATORS = (1, 2, 4, 8, 16, 32, 64)

_STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
_ACCIDENTALS = {"": 0, "=": 0, "^": 1, "_": -1, "^^": 2, "__": -2}
_FIFTHS = "FCGDAEB"  # the order of sharps; flats come from its end
_MODES = {
    **{"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "phr": -4, "loc": -5},
    **{"m": -3, "lyd": 1, "": 0},
}
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # notes in the time of; others depend on the meter

_LENGTH = r"(?P<{0}over>\d*)(?P<{0}slashes>/*)(?P<{0}under>\d*)"
_TOKENS = re.compile(
    "|".join(
        [
            r"(?P<note>(?P<accidental>\^\^?|__?|=)?(?P<step>[A-Ga-g])(?P<octave>[,']*)"
            + _LENGTH.format("")
            + ")",
            r"(?P<space>[\s.~)]+)",
            r"(?P<bar>(?P<left>:{0,9}\[?:{0,9}\|[|\]]*(?::+(?![:|]))?|::+)(?P<ending>\[?\d[\d,.\-]*)?)",
            r"(?P<rest>[zx]" + _LENGTH.format("rest_") + ")",
            r"(?P<tie>-)",
            r"(?P<broken>>+|<+)",
            r"(?P<tuplet>\((?P<p>\d)(?::(?P<q>\d?)(?::(?P<r>\d?))?)?)",
            r"(?P<grace>\{[^}]{0,100}\})",
            r'(?P<text>"[^"]*")',
            r"(?P<decoration>![^!|\s]{1,40}!|\+[a-z0-9.()<>]{1,40}\+)",
            r"(?P<field>\[(?P<letter>[A-Za-z]):(?P<value>[^\]]{0,100})\])",
            r"(?P<late_ending>\[\d[\d,.\-]*)",
            r"(?P<open>\[)",
            r"(?P<close>\]" + _LENGTH.format("chord_") + ")",
            r"(?P<bars>[ZX](?P<count>\d*))",
            r"(?P<overlay>&)",
        ]
    ),
    re.ASCII,
)
_FIELD = re.compile(r"([A-Za-z+]):(?![|:])(.*)")  # "e:|" is music
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)(.*)")
_FRACTION = re.compile(r"(\d+)\s*/\s*(\d+)")


class Tune(NamedTuple):
    """A tune, or the reason why it is refused.

    `measures` has the ticks at which the bars begin and end, as they are played: an array [N, 2].
    """

    name: str
    midi: MidiFile | Refused
    measures: np.ndarray


def is_abc(path: Path) -> bool:
    """Returns whether a file has the suffix of a file of ABC tunes."""
    return path.suffix.lower() in SUFFIXES


def parse_file(path: Path) -> Iterator[Tune]:
    """Reads a file and yields its tunes; see `parse`.

    Raises:
      OSError: if it cannot be read.
      Refused: see `parse`.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    return parse(data)


def parse(data: bytes) -> Iterator[Tune]:
    """Parses the bytes of a file, and yields its tunes.

    Raises:
      Refused: if the file is not one of ABC tunes, or is too large.
    """
    return _parse_tunes(_split(data))


def first_tune(data: bytes) -> tuple[MidiFile, int]:
    """Returns the first tune of a file, and the number of its tunes.

    Raises:
      Refused: if it cannot be used.
    """
    tunes = _split(data)
    midi = next(_parse_tunes(tunes[:1])).midi
    if isinstance(midi, Refused):
        raise midi
    return midi, len(tunes)


def _parse_tunes(tunes: list[list[str]]) -> Iterator[Tune]:
    """Yields tunes, given their lines; they share the limit of notes."""
    left = _MAX_NOTES
    for lines in tunes:
        reader = _Reader(left)
        try:
            reader.read(lines)
            midi, measures = reader.finish()
            tune = Tune(reader.name, midi, measures)
        except Refused as error:
            tune = Tune(reader.name, error, np.zeros([0, 2]))
        left = max(reader.left, 0)
        yield tune


def _split(data: bytes) -> list[list[str]]:
    """Returns the lines of each tune, at least one, without comments.

    A tune begins with an `X:` line, or at the beginning of the file. It ends at an empty line after
    its key. Tunes without a key are left out: they have no music.

    Raises:
      Refused: if there is no tune, or the file is too large.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"has more than {MAX_BYTES} bytes; split it")
    if b"\0" in data:
        raise Refused("is not an ABC file: it has bytes that no text has")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    tunes: list[list[str]] = []
    lines: list[str] = []
    state = "header"
    for line in [*text.splitlines(), "X:"]:
        line = line.strip()
        if line.startswith("X:"):
            if state in ("body", "after"):
                tunes.append(lines)
            lines, state = [line], "header"
        elif state == "body" and not line:
            state = "after"
        elif state != "after" and line and not line.startswith("%"):
            lines.append(re.sub(r"(?<!\\)%.*", "", line))
            state = "body" if line.startswith("K:") else state
    if not tunes:
        raise Refused("is not an ABC file: it has no line with a key, such as K:G")
    if len(tunes) > _MAX_TUNES:
        raise Refused(f"has {len(tunes)} tunes, above the limit of {_MAX_TUNES}; split it")
    return tunes


class _Signs(NamedTuple):
    """What is written above and at the beginning of a staff."""

    meter: tuple[int, int] | None
    sharps: int
    minor: bool
    tempo: float


class _Measure:
    """What is between two bar lines, with times in ticks from its beginning."""

    __slots__ = ("begins", "double", "ending", "ends", "length", "notes", "signs")

    def __init__(self, ending: frozenset[int], signs: _Signs):
        self.notes: list[_Note] = []
        self.length = 0.0
        self.begins = False  # a repeated passage
        self.ends = 0  # the number of times that the passage before its end is repeated
        self.double = False  # whether it begins after a double bar line
        self.ending = ending  # the times at which it is played; empty: always
        self.signs = signs


_Note = list[Any]  # start, end, number of the step, pitch, whether it is tied to the next
_END, _TIED = 1, 4
_Value = TypeVar("_Value")


class _Voice:
    """The measures of one voice, and what is in force where the reader is."""

    def __init__(self, unit: float, signs: _Signs, key: dict[str, int], interval: int):
        self.unit = unit  # ticks
        self.signs = signs
        self.key = key  # the accidental of each letter
        self.interval = interval  # semitones by which the music sounds higher than written
        self.accidentals: dict[str, int] = {}  # of this measure
        self.measures: list[_Measure] = []
        self.measure = _Measure(frozenset(), signs)
        self.at = 0.0
        self.last: tuple[int, float] | None = None  # first note and start of the last chord
        self.next_factor = 1.0  # of the next length, from a broken rhythm
        self.tuplet, self.tuplet_left = 1.0, 0
        self.chord: list[float] | None = None  # the lengths in an open chord

    def copy(self) -> "_Voice":
        """Returns a voice without music in the same meter and key."""
        return _Voice(self.unit, self.signs, dict(self.key), self.interval)

    def advance(self, first_note: int, ticks: float) -> None:
        """Moves on by a length, after the notes that have been added from `first_note` on."""
        self.last = first_note, self.at
        self._move(ticks)

    def _move(self, ticks: float) -> None:
        """Ends the last notes so many ticks after their start."""
        assert self.last is not None
        first_note, start = self.last
        self.at = start + ticks
        if self.at > _MAX_BAR:
            raise Refused(f"has a bar of more than {_MAX_BAR // TICKS} beats")
        for note in self.measure.notes[first_note:]:
            note[_END] = self.at

    def factor(self) -> float:
        """Returns the factor of the next length; the rhythm moves on."""
        factor, self.next_factor = self.next_factor, 1.0
        if self.tuplet_left:
            self.tuplet_left -= 1
            factor *= self.tuplet
        return factor

    def break_rhythm(self, longer: bool, times: int) -> None:
        """Makes the last length longer and the next one shorter, or the other way around."""
        part = 0.5**times
        mine, self.next_factor = (2 - part, part) if longer else (part, 2 - part)
        if self.last is not None:
            self._move((self.at - self.last[1]) * mine)

    def tie(self) -> None:
        """Ties the last note or chord, or the last note in an open chord, to what follows."""
        notes = self.measure.notes
        if self.chord is not None:
            tied = notes[-1:] if self.chord else []
        else:
            tied = notes[self.last[0] :] if self.last is not None else []
        for note in tied:
            note[_TIED] = True

    def close(self, left: str, ending: str) -> None:
        """Ends the measure at a bar line, which may begin a numbered ending."""
        if self.chord is not None:
            self.close_chord(1.0)
        measure = self.measure
        measure.length = max(measure.length, self.at)
        closed, _, opened = left.partition("|") if "|" in left else (left, "", left)
        ends, begins = closed.count(":"), ":" in opened
        if set(left) == {":"}:
            ends, begins = 1, True
        invisible = left == "[|]"
        double = ends or begins or (not invisible and re.search(r"\|\||\]|\[", left))
        if measure.length or measure.notes:
            self.measures.append(measure)
        if ends and self.measures:
            self.measures[-1].ends = min(ends, _MAX_PLAYS - 1)
        empty = not (measure.length or measure.notes)
        after = _Measure(frozenset() if double else measure.ending, self.signs)
        after.begins = begins or (empty and measure.begins)
        after.double = bool(double) or (empty and measure.double)
        if empty and not double:
            after.ending = measure.ending
        if ending:
            after.ending = _endings(ending)
        self.measure, self.at, self.last, self.accidentals = after, 0.0, None, {}

    def close_chord(self, factor: float) -> None:
        """Ends a chord, which is as long as its first note."""
        lengths, self.chord = self.chord or [], None
        first = len(self.measure.notes) - len(lengths)
        self.advance(first, factor * self.factor() * (lengths[0] if lengths else 0.0))


class _Reader:
    """Reads the lines of a tune.

    Args:
      most: the largest number of notes and measures.
    """

    def __init__(self, most: int):
        self.left = most
        self.number, self.titles = "", list[str]()
        self.scope = "pitch"  # of accidentals
        self.unit_is_set = False
        self.tempo = ""  # of the header, perhaps in a unit that only its end tells
        self.header = _Voice(TICKS / 2, _Signs((4, 4), 0, False, TEMPO), {}, 0)
        self.voices: dict[str, _Voice] = {}
        self.voice = self.header

    @property
    def name(self) -> str:
        """The number and the title of the tune."""
        return " ".join(filter(None, [self.number, *self.titles[:1]]))[:80]

    def read(self, lines: list[str]) -> None:
        """Reads the header and the music."""
        in_header = True
        for line in lines:
            field = _FIELD.match(line)
            if field is None:
                if not in_header:
                    self._read_music(line)
                continue
            letter, value = field[1], field[2].strip()[:_MAX_FIELD]
            self._read_field(letter, value, in_header)
            if letter == "K" and in_header:
                in_header = False
                self._set_tempo(self.tempo)
                self._switch_voice("")

    def _switch_voice(self, name: str) -> None:
        if name not in self.voices:
            self._count()
            self.voices[name] = self.header.copy()
        self.voice = self.voices[name]

    def _count(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise Refused(f"is too long: a file may have {_MAX_NOTES} notes and bars; split it")

    def _read_field(self, letter: str, value: str, in_header: bool = False) -> None:
        voice = self.voice
        if letter == "X":
            self.number = value
        elif letter == "T":
            self.titles.append(value)
        elif letter == "M":
            meter = _parse_meter(value)
            self._sign(voice.signs._replace(meter=meter))
            if in_header and not self.unit_is_set:
                voice.unit = TICKS / 4 if meter and meter[0] / meter[1] < 0.75 else TICKS / 2
        elif letter == "L":
            voice.unit, self.unit_is_set = 4 * TICKS * _parse_fraction("L", value), True
        elif letter == "K":
            self._read_key(value)
        elif letter == "Q" and in_header:
            self.tempo = value
        elif letter == "Q":
            self._set_tempo(value)
        elif letter == "V" and not in_header and value:
            self._switch_voice(value.split()[0])
        elif letter == "I" and value.startswith("propagate-accidentals"):
            self.scope = value.split()[-1]

    def _set_tempo(self, value: str) -> None:
        tempo = _parse_tempo(value, self.voice.unit / TICKS)
        if tempo is not None and _TEMPOS[0] <= tempo <= _TEMPOS[1]:
            self._sign(self.voice.signs._replace(tempo=tempo))

    def _sign(self, signs: _Signs) -> None:
        """Makes signs count from the beginning of the measure, if nothing precedes them in it."""
        self.voice.signs = signs
        if not self.voice.at:
            self.voice.measure.signs = signs

    def _read_key(self, value: str) -> None:
        voice = self.voice
        for name, semitones in (("transpose", 1), ("octave", 12)):
            found = re.search(rf"{name}=\s*(-?\d{{1,2}})(?!\d)", value)
            if found:
                voice.interval = semitones * int(found[1])
        parsed = _parse_key(re.sub(r"\S+=\S+|\b(treble|bass|alto|tenor|perc)\S*", "", value))
        if parsed is not None:
            sharps, minor, voice.key = parsed
            self._sign(voice.signs._replace(sharps=sharps, minor=minor))

    def _read_music(self, line: str) -> None:
        for token in _TOKENS.finditer(line):
            kind = token.lastgroup
            voice = self.voice
            if kind == "note":
                self._add_note(token)
            elif kind == "space":
                continue
            elif kind == "bar":
                self._count()
                voice.close(token["left"], token["ending"] or "")
            elif kind == "rest":
                voice.advance(len(voice.measure.notes), self._length(token, "rest_"))
            elif kind == "tie":
                voice.tie()
            elif kind == "broken":
                if len(token[0]) > _MAX_HALVINGS:
                    raise Refused(f"has a rhythm broken {len(token[0])} times")
                voice.break_rhythm(token[0][0] == ">", len(token[0]))
            elif kind == "tuplet":
                self._begin_tuplet(token)
            elif kind == "field":
                self._read_field(token["letter"], token["value"].strip())
            elif kind == "late_ending":
                self._count()
                voice.close("", token[0])
            elif kind == "open":
                voice.chord = []
            elif kind == "close" and voice.chord is not None:
                voice.close_chord(_factor(token, "chord_"))
            elif kind == "bars":
                self._rest_for_bars(int(token["count"][:5] or 1))
            elif kind == "overlay":
                voice.measure.length = max(voice.measure.length, voice.at)
                voice.at, voice.last = 0.0, None

    def _length(self, token: re.Match[str], prefix: str = "") -> float:
        return self.voice.unit * _factor(token, prefix) * self.voice.factor()

    def _add_note(self, token: re.Match[str]) -> None:
        self._count()
        voice = self.voice
        step, marks = token["step"], token["octave"]
        letter = step.upper()
        octave = (5 if letter == step else 6) + marks.count("'") - marks.count(",")
        place = letter if self.scope == "pitch" else f"{letter}{octave}"
        written = token["accidental"]
        if written is not None:
            accidental = _ACCIDENTALS[written]
            if self.scope != "not":
                voice.accidentals[place] = accidental
        else:
            accidental = voice.accidentals.get(place, voice.key.get(letter, 0))
        pitch = 12 * octave + _STEPS[letter] + accidental + voice.interval
        if not 0 <= pitch < 128:
            raise Refused(f"has the note {token[0][:20]}, outside the range of MIDI")
        first = len(voice.measure.notes)
        voice.measure.notes.append([voice.at, voice.at, 7 * octave + "CDEFGAB".index(letter)])
        voice.measure.notes[-1] += [pitch, False]
        if voice.chord is not None:
            if len(voice.chord) == _MAX_CHORD:
                raise Refused(f"has a chord of more than {_MAX_CHORD} notes")
            voice.chord.append(voice.unit * _factor(token, ""))
        else:
            voice.advance(first, self._length(token))

    def _begin_tuplet(self, token: re.Match[str]) -> None:
        voice = self.voice
        p = int(token["p"])
        if p < 2:
            return
        meter = voice.signs.meter
        compound = meter is not None and meter[0] % 3 == 0 and meter[0] > 3
        q = int(token["q"] or 0) or _TUPLETS.get(p, 3 if compound else 2)
        voice.tuplet, voice.tuplet_left = q / p, int(token["r"] or 0) or p

    def _rest_for_bars(self, count: int) -> None:
        voice = self.voice
        over, under = voice.signs.meter or (4, 4)
        for _ in range(count - 1):
            self._count()
            voice.advance(len(voice.measure.notes), 4 * TICKS * over / under)
            voice.close("|", "")
        voice.advance(len(voice.measure.notes), 4 * TICKS * over / under)

    def finish(self) -> tuple[MidiFile, np.ndarray]:
        """Returns the whole tune and the ticks of its measures, with its repeats played."""
        rows: list[tuple[int, ...]] = []
        measures, signs = list[tuple[int, int]](), dict[int, _Signs]()
        length = 0
        for voice in self.voices.values():
            voice.close("|", "")
            played = _play(voice.measures, self._count)
            if played.measures:
                length = max(length, played.measures[-1][1])
                measures, signs = measures or played.measures, signs or played.signs
            rows += played.notes
        if not rows:
            raise Refused("has no notes")
        columns = np.array(sorted(rows, key=lambda row: (row[0], row[2])), np.float64)
        start, end, pitch = columns.T
        velocity, program = (np.full(len(start), x, np.int32) for x in (_VELOCITY, _PROGRAM))
        notes = Notes(start, end, pitch.astype(np.int32), velocity, program, length)
        tempos = _changes((tick, x.tempo) for tick, x in signs.items())
        ticks, values = np.array(tempos, np.float64).T
        midi = MidiFile(
            notes,
            ticks,
            60 / values / TICKS,
            TICKS,
            _time_signatures(signs, measures),
            tuple(
                KeySignature(tick, *key)
                for tick, key in _changes((tick, (x.sharps, x.minor)) for tick, x in signs.items())
                if abs(key[0]) <= _MAX_SHARPS
            ),
        )
        return midi, np.array(measures)


class _Played(NamedTuple):
    """A voice as it is played, with times in ticks."""

    notes: list[tuple[int, ...]]  # start, end, pitch
    measures: list[tuple[int, int]]  # begin, end
    signs: dict[int, _Signs]


def _play(measures: list[_Measure], count: Callable[[int], None]) -> _Played:
    """Plays measures with their repeats, and counts what is played."""
    played = _Played([], [], {})
    found: list[list[float]] = []
    tied: dict[int, list[float]] = {}
    now = 0.0
    for index in _order(measures):
        measure = measures[index]
        count(1 + len(measure.notes))
        for start, end, step, pitch, is_tied in measure.notes:
            note = tied.pop(step, None)
            if note is not None and abs(note[1] - now - start) < 1:
                note[1] = now + end
            else:
                note = [now + start, now + end, pitch]
                found.append(note)
            if is_tied:
                tied[step] = note
        begin, now = round(now), now + measure.length
        played.measures.append((begin, round(now)))
        played.signs[begin] = measure.signs
    rows = ((round(start), round(end), int(pitch)) for start, end, pitch in found)
    played.notes.extend(row for row in rows if row[1] > row[0])
    return played


def _order(measures: list[_Measure]) -> Iterator[int]:
    """Yields the indices of measures in the order in which they are played.

    A passage is repeated from where it begins: at the sign for that, or else at the last double bar
    line or the end of the passage before.
    """
    _end_endings(measures)
    plays = _plays(measures)
    at = begin = 0
    time = 1
    while at < len(measures):
        measure = measures[at]
        in_endings = at > 0 and bool(measures[at - 1].ending)
        fresh = measure.begins or (measure.double and not measure.ending)
        if at > begin and (fresh or (in_endings and not measure.ending)):
            begin, time = at, 1
        if measure.ending and time not in measure.ending:
            at += 1
            continue
        yield at
        if measure.ends and time < plays[at]:
            at, time = begin, time + 1
        elif measure.ends:
            at, begin, time = at + 1, at + 1, 1
        else:
            at += 1


def _end_endings(measures: list[_Measure]) -> None:
    """Makes each ending but the last of a passage end with a repeat, if its sign is missing."""
    for measure, after in itertools.pairwise(measures):
        if measure.ending and after.ending and measure.ending != after.ending:
            measure.ends = measure.ends or 1


def _plays(measures: list[_Measure]) -> list[int]:
    """Returns how often each measure is played if a passage ends there."""
    plays: list[int] = []
    for _, group in itertools.groupby(measures, lambda measure: bool(measure.ending)):
        found = list(group)
        last = max((number for measure in found for number in measure.ending), default=0)
        plays += [last or measure.ends + 1 for measure in found]
    return plays


def _endings(text: str) -> frozenset[int]:
    """Returns the numbers in a text such as "1,3-5"; none if they make no sense."""
    numbers: set[int] = set()
    for part in re.split(r"[,.]", text.strip("[")):
        ends = [min(int(x[:3]), _MAX_PLAYS) for x in part.split("-") if x]
        if ends:
            numbers.update(range(max(ends[0], 1), ends[-1] + 1))
    return frozenset(numbers)


def _time_signatures(
    signs: dict[int, _Signs], measures: list[tuple[int, int]]
) -> tuple[TimeSignature, ...]:
    """Returns the meters; an upbeat is a bar of its own."""
    changes = [(t, x) for t, x in _changes((t, x.meter) for t, x in signs.items()) if x]
    found = {tick: TimeSignature(tick, over, under) for tick, (over, under) in changes}
    first = found.get(0)
    begin, end = measures[0]
    if first is not None and begin == 0 and 0 < end < first.bar * TICKS and end not in found:
        length = Fraction(end, 4 * TICKS)
        under = max(length.denominator, first.denominator)
        if under in _DENOMINATORS and length * under <= _MAX_NUMERATOR:
            found[0] = TimeSignature(0, int(length * under), under)
            found[end] = first._replace(tick=end)
    return tuple(signature for _, signature in sorted(found.items()))


def _changes(values: Iterable[tuple[int, _Value]]) -> list[tuple[int, _Value]]:
    """Returns the pairs of a tick and a value at which the value differs from the one before."""
    kept: list[tuple[int, _Value]] = []
    for tick, value in values:
        if not kept or kept[-1][1] != value:
            kept.append((tick, value))
    return kept


def _factor(token: re.Match[str], prefix: str) -> float:
    """Returns a length, such as 3/2, / or // after a note, in units."""
    over, slashes, under = (token[prefix + x] for x in ("over", "slashes", "under"))
    if not over and not slashes:
        return 1.0
    if len(over) > 4 or len(under) > 4 or len(slashes) > _MAX_HALVINGS:
        raise Refused(f"has a length of too many digits or slashes: {token[0][:20]}")
    factor = float(over or 1)
    if slashes and under:
        if not int(under):
            raise Refused(f"has a length divided by zero: {token[0][:20]}")
        return factor / int(under)
    return factor * 0.5 ** len(slashes)


def _parse_meter(value: str) -> tuple[int, int] | None:
    """Parses the value of an `M:` field; None stands for free meter.

    Raises:
      Refused: if it is invalid.
    """
    value = value.split("%")[0].strip()
    if value in ("C", "C|"):
        return (4, 4) if value == "C" else (2, 2)
    if value.lower() in ("none", ""):
        return None
    found = re.fullmatch(
        r"\(?\s*(\d{1,3}(?:\s*\+\s*\d{1,3}){0,15})\s*\)?\s*/\s*(\d{1,2})\b.*", value
    )
    over, under = (sum(map(int, found[1].split("+"))), int(found[2])) if found else (0, 0)
    if not 0 < over <= _MAX_NUMERATOR or under not in _DENOMINATORS:
        raise Refused(f"has the invalid meter M:{value[:20]}")
    return over, under


def _parse_fraction(letter: str, value: str) -> float:
    found = re.match(r"(\d{1,4})(?:\s*/\s*(\d{1,4}))?(?!\d)", value)
    over, under = (int(found[1]), int(found[2] or 1)) if found else (0, 0)
    if not over or not under:
        raise Refused(f"has the invalid length {letter}:{value[:20]}")
    return over / under


def _parse_tempo(value: str, unit: float) -> float | None:
    """Parses a `Q:` field, given the unit in beats; returns beats per minute, or None."""
    text = re.sub(r'"[^"]*"', "", value)
    notes, _, number = text.rpartition("=")
    found = re.match(r"\s*(\d{1,5}(?:\.\d{1,5})?)\s*(?:$|\s)", number)
    if found is None:
        return None
    fractions = [(int(x[:5]), int(y[:5])) for x, y in _FRACTION.findall(notes)[:16]]
    beats = sum(4 * over / under for over, under in fractions if under)
    return float(found[1]) * (beats or unit)


def _parse_key(value: str) -> tuple[int, bool, dict[str, int]] | None:
    """Parses a `K:` field.

    Returns:
      The number of sharps, negative for flats; whether the mode is minor; and the accidental of
      each letter. None if it says nothing of the key.

    Raises:
      Refused: if it is invalid.
    """
    value = value.strip()
    if not value:
        return None
    if value.startswith(("HP", "Hp")):  # the Highland bagpipes
        sharps, minor, rest = (2 if value[1] == "p" else 0), False, ""
    elif value.lower().startswith("none"):
        sharps, minor, rest = 0, False, value[4:]
    else:
        found = _KEY.match(value)
        if found is None:
            raise Refused(f"has the invalid key K:{value[:20]}")
        tonic, sign, word, rest = found.groups()
        mode = word[:3].lower()
        minor = mode in ("m", "min", "aeo")
        fifths = _FIFTHS.index(tonic) - 1 + 7 * ((sign == "#") - (sign == "b"))
        sharps = fifths + _MODES.get(mode, 0)
        if mode == "exp":
            sharps = 0
    key: dict[str, int] = {}
    for step in range(abs(sharps)):
        letter = _FIFTHS[step % 7] if sharps > 0 else _FIFTHS[-1 - step % 7]
        key[letter] = key.get(letter, 0) + (1 if sharps > 0 else -1)
    for accidental, letter in re.findall(r"(\^\^?|__?|=)([A-Ga-g])", rest):
        key[letter.upper()] = _ACCIDENTALS[accidental]
    return sharps, minor, key
