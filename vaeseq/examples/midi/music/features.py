"""Statistics of a piece: how many keys sound at once, which chords, how long notes are, ...

Each statistic counts what occurs in a piece, so that the counts of several pieces can be added.
Most follow Yang & Lerch, "On the evaluation of generative models in music" (2020). Drums are left
out. Keyboards are merged, so that a unison of two instruments is one key; only the lengths of notes
are those of each keyboard.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import KEYS, SILENT, STRUCK, RollFormat, to_notes

Counts = Counter[float]
"""How often each value of a statistic occurs."""

_OCTAVE = 12
_WINDOW_BEATS, _WINDOW_SECONDS = 2, 1  # the lengths of windows that may recur
# By Yeh et al. (2021), arXiv:2001.02360: 1 for unisons, thirds, fifths and sixths; 0 for fourths.
_CONSONANCE = (1, -1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1)


class Statistic(NamedTuple):
    """A statistic: the unit of its values, and whether they are numbers or mere categories."""

    unit: str
    is_number: bool = True


STATISTICS = {
    "keys_at_once": Statistic("keys"),
    "silence": Statistic("share"),
    "pitch_classes": Statistic("share", is_number=False),
    "melodic_intervals": Statistic("semitones"),
    "chords": Statistic("share", is_number=False),
    "foreign_chords": Statistic("share"),
    "foreign_voicings": Statistic("share"),
    "consonance": Statistic("score"),
    "note_lengths": Statistic("seconds"),
    "repetition": Statistic("share"),
    "lowest_pitch": Statistic("semitones"),
    "highest_pitch": Statistic("semitones"),
    "pitch_range": Statistic("semitones"),
}
"""The statistics that `count` computes. A unit of "share" is from 0 to 1."""


class Vocabulary(NamedTuple):
    """The chords and the voicings that occur in some pieces; see `chord` and `voicing`."""

    chords: frozenset[int]
    voicings: frozenset[int]


def count(roll: np.ndarray, form: RollFormat, vocabulary: Vocabulary) -> dict[str, Counts]:
    """Returns the counts of each of the `STATISTICS`. They are empty if nothing was observed.

    * keys_at_once: the number of sounding keys, in each frame that is not silent.
    * silence: whether a frame is silent.
    * pitch_classes: C, C sharp, ... as 0 to 11, for every key and frame in which it sounds.
    * melodic_intervals: the sizes of the intervals between neighbouring notes of the melody, i.e.
      of those notes above which nothing sounds when they start.
    * chords: the chord of each frame in which at least two keys sound; see `chord`.
    * foreign_chords, foreign_voicings: whether that chord is not in the vocabulary.
    * consonance: a score for each two keys that sound in the same frame: 1 for thirds, fifths,
      sixths and octaves, 0 for fourths, -1 for seconds, sevenths and tritones.
    * note_lengths: the length of each note.
    * repetition: whether a window of two beats, or of one second if frames are not counted in
      beats, occurs again in the piece without overlapping itself. Windows start at every frame;
      those in which no note starts are left out.
    * lowest_pitch, highest_pitch, pitch_range: of the piece; MIDI pitches and their difference.

    Args:
      roll: the roll, uint8 [T, num_keys].
      form: its format.
      vocabulary: the chords that are not foreign.
    """
    states = _merge(roll, form)
    sounding = states != SILENT
    onsets = _onsets(states)
    at_once = sounding.sum(axis=1)
    counts = _chord_counts(sounding)
    used = np.flatnonzero(sounding.any(axis=0))
    chords: Counts = Counter()
    foreign_chords: Counts = Counter()
    foreign_voicings: Counts = Counter()
    for keys, number in counts.items():
        chords[chord(keys)] += number
        foreign_chords[chord(keys) not in vocabulary.chords] += number
        foreign_voicings[voicing(keys) not in vocabulary.voicings] += number
    return {
        "keys_at_once": _tally(at_once[at_once > 0]),
        "silence": _tally(at_once == 0),
        "pitch_classes": _tally(np.nonzero(sounding)[1] % _OCTAVE),
        "melodic_intervals": _tally(np.abs(np.diff(_melody(sounding, onsets)))),
        "chords": chords,
        "foreign_chords": foreign_chords,
        "foreign_voicings": foreign_voicings,
        "consonance": _consonance(sounding),
        "note_lengths": _note_lengths(roll, form),
        "repetition": _tally(_recurring(sounding, onsets, _window_frames(form))),
        "lowest_pitch": _tally(used[:1]),
        "highest_pitch": _tally(used[-1:]),
        "pitch_range": _tally(used[-1:] - used[:1]),
    }


def vocabulary(rolls: Iterable[np.ndarray], form: RollFormat) -> Vocabulary:
    """Returns the chords and the voicings that occur in pieces."""
    chords: set[int] = set()
    voicings: set[int] = set()
    for roll in rolls:
        for keys in _chord_counts(_merge(roll, form) != SILENT):
            chords.add(chord(keys))
            voicings.add(voicing(keys))
    return Vocabulary(frozenset(chords), frozenset(voicings))


def chord(keys: int) -> int:
    """Returns a number that sets of keys share if their pitch classes are the same, transposed.

    All major triads are one chord, in all inversions and in all octaves.

    Args:
      keys: the set of keys, of which bit k is MIDI pitch k.
    """
    classes = 0
    while keys:
        classes |= keys & 0xFFF
        keys >>= _OCTAVE
    return min((classes << turn | classes >> _OCTAVE - turn) & 0xFFF for turn in range(_OCTAVE))


def voicing(keys: int) -> int:
    """Returns a number that sets of keys share if one is the other, transposed; see `chord`."""
    return keys // (keys & -keys)


def _merge(roll: np.ndarray, form: RollFormat) -> np.ndarray:
    """Returns the states of all pitched keyboards as one, [T, KEYS]; loudness is ignored."""
    keyboards = roll[:, form.pitched].reshape(len(roll), -1, KEYS)
    return np.minimum(keyboards.max(axis=1, initial=SILENT), STRUCK)


def _onsets(states: np.ndarray) -> np.ndarray:
    """Returns where notes start, bool [T, KEYS]. A key held after silence is struck."""
    before = np.pad(states[:-1], [(1, 0), (0, 0)])
    return (states >= STRUCK) | ((states != SILENT) & (before == SILENT))


def _tally(values: np.ndarray) -> Counts:
    """Returns how often each value occurs."""
    unique, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(unique.tolist(), numbers.tolist(), strict=True)))


def _chord_counts(sounding: np.ndarray) -> Counter[int]:
    """Returns in how many frames each set of at least two keys sounds; see `chord`."""
    packed, numbers = np.unique(
        np.packbits(sounding, axis=1, bitorder="little"), axis=0, return_counts=True
    )
    sets = (int.from_bytes(row.tobytes(), "little") for row in packed)
    pairs = zip(sets, numbers.tolist(), strict=True)
    return Counter({keys: number for keys, number in pairs if keys.bit_count() > 1})


def _melody(sounding: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Returns the pitches of the notes above which nothing sounds when they start."""
    highest = KEYS - 1 - np.argmax(sounding[:, ::-1], axis=1)
    starts = onsets[np.arange(len(onsets)), highest]
    return highest[starts]


def _consonance(sounding: np.ndarray) -> Counts:
    scores: Counts = Counter()
    for interval in range(1, KEYS):
        both = sounding[:, :-interval] & sounding[:, interval:]
        scores[_CONSONANCE[interval % _OCTAVE]] += int(np.count_nonzero(both))
    return scores


def _note_lengths(roll: np.ndarray, form: RollFormat) -> Counts:
    notes = to_notes(roll, form)
    notes = notes.select(notes.program != DRUMS)
    rate = form.frames_per_second
    frames = np.rint((notes.end - notes.start) * rate)  # equal lengths have equal numbers
    return Counter({number / rate: times for number, times in _tally(frames).items()})


def _window_frames(form: RollFormat) -> int:
    return max(1, round(form.rate * (_WINDOW_BEATS if form.beats else _WINDOW_SECONDS)))


def _recurring(sounding: np.ndarray, onsets: np.ndarray, size: int) -> np.ndarray:
    """Returns for each window of `size` frames with an onset whether it recurs, bool [W]."""
    if len(sounding) < size:
        return np.zeros([0], bool)
    windows = _window_numbers(sounding.astype(np.uint8) + onsets, size)
    starts = np.arange(len(windows))
    first, last = np.zeros_like(windows), np.zeros_like(windows)
    last[windows] = starts  # of equal indices, the last counts
    first[windows[::-1]] = starts[::-1]
    recurs = (starts - first[windows] >= size) | (last[windows] - starts >= size)
    starts_before = np.cumsum(np.pad(onsets.sum(axis=1), (1, 0)))
    return recurs[starts_before[size:] > starts_before[:-size]]


def _window_numbers(frames: np.ndarray, size: int) -> np.ndarray:
    """Returns for each window of `size` frames a number that equal windows share, [T - size + 1].

    A window is a pair of two shorter windows that may overlap, so no window is ever stored.
    """
    numbers = np.unique(frames, axis=0, return_inverse=True)[1].reshape(-1)
    width = 1
    while width < size:
        step = min(width, size - width)
        pairs = numbers[:-step] * len(frames) + numbers[step:]
        numbers = np.unique(pairs, return_inverse=True)[1]
        width += step
    return numbers
