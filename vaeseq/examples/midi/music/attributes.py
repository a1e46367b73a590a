"""Attributes of a piece, one number each, such as how many notes a bar has.

They count what the roll shows, whatever its instruments. Drums are not left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaeseq.examples.midi.music.midi_file import Notes
from vaeseq.examples.midi.music.roll import RollFormat, to_notes_in_frames

BEATS_PER_BAR = 4
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_SCALES = np.array([[(pitch - tonic) % 12 in _MAJOR for pitch in range(12)] for tonic in range(12)])


class Attribute(NamedTuple):
    """An attribute: its name in words, and the unit of its values."""

    label: str
    unit: str


ATTRIBUTES = {
    "density": Attribute("note density", "notes per bar"),
    "range": Attribute("range", "semitones"),
    "pitch": Attribute("mean pitch", "semitones"),
    "scale": Attribute("share of the scale", "share"),
    "syncopation": Attribute("syncopation", "per bar"),
}
"""The attributes that `measure` measures."""


def frames_per_beat(form: RollFormat) -> float:
    """Returns the frames of a beat; if frames are counted per second, at the tempo of the run."""
    return form.rate * (1 if form.beats else 60 / form.tempo)


def measure(roll: np.ndarray, form: RollFormat) -> dict[str, float | None]:
    """Returns the value of each of the `ATTRIBUTES`; None where it does not exist.

    * density: the notes per bar.
    * range: from the lowest to the highest pitch.
    * pitch: the mean MIDI pitch of the notes, each as often as it has frames.
    * scale: the share of the time of the notes in the major scale that has the largest share of it.
    * syncopation: per bar, the beats and half beats that a note which starts between them rings
      over, after Longuet-Higgins and Lee (1984): a half beat counts 1, a beat 2. The beats are
      where most notes start, because excerpts need not begin on a beat.

    Args:
      roll: the roll, uint8 [T, num_keys], T >= 1.
      form: its format.
    """
    notes, beat = to_notes_in_frames(roll, form), frames_per_beat(form)
    bars = len(roll) / (BEATS_PER_BAR * beat)
    values: dict[str, float | None] = {"density": len(notes.start) / bars}
    measures: dict[str, Callable[[Notes], float]] = {
        "range": lambda x: float(x.pitch.max() - x.pitch.min()),
        "pitch": lambda x: float(np.average(x.pitch, weights=x.end - x.start)),
        "scale": _share_of_scale,
        "syncopation": lambda x: _syncopation(x, beat) / bars,
    }
    for name, value in measures.items():
        values[name] = value(notes) if len(notes.start) else None
    return values


def _share_of_scale(notes: Notes) -> float:
    times = np.bincount(notes.pitch % 12, weights=notes.end - notes.start, minlength=12)
    return float((_SCALES @ times).max() / times.sum())


def _syncopation(notes: Notes, beat: float) -> float:
    """Returns the syncopations of notes, weighted, by the beats that fit best."""
    shift = max(range(round(beat)), key=lambda x: (_on(notes.start - x, beat).sum(), -x), default=0)
    starts, ends = (np.asarray(x, float) - shift for x in (notes.start, notes.end))
    total = 0.0
    for unit, weight in ((beat / 2, 1.0), (beat, 2.0)):
        between = ~_on(starts, unit)
        following = np.ceil(starts / unit) * unit  # the next of the unit
        rings = between & (following < ends)
        # What rings over a beat counts by the beat, not by the half beat, too.
        stronger = _on(following, 2 * unit) if unit < beat else np.zeros(len(starts), bool)
        total += weight * float(np.sum(rings & ~stronger))
    return total


def _on(frames: np.ndarray, unit: float) -> np.ndarray:
    """Returns whether frames lie on multiples of a unit, to the nearest frame."""
    return np.abs(frames / unit - np.round(frames / unit)) * unit < 0.5
