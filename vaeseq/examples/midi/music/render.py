"""Music to be heard, to be seen, and in numbers."""

import io
import wave
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pretty_midi
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from vaeseq.examples.midi.music.midi_file import Notes
from vaeseq.examples.midi.music.roll import RollFormat, to_midi, to_notes

SAMPLE_RATE = 22050


def audio(roll: np.ndarray, form: RollFormat) -> np.ndarray:
    """The sound of a roll, float32 [samples] in [-1, 1], as long as the roll.

    By fluidsynth and its instruments where pyfluidsynth is installed, or else by sines.
    """
    midi = to_midi(roll, form)
    try:
        sound = midi.fluidsynth(SAMPLE_RATE)
    except (ImportError, AttributeError, OSError):  # not installed, or not whole
        sound = midi.synthesize(SAMPLE_RATE)
    length = round(len(roll) / form.frames_per_second * SAMPLE_RATE)
    sound = np.pad(sound[:length], (0, max(0, length - len(sound))))
    return sound.astype(np.float32)


def wav(sound: np.ndarray) -> bytes:
    """Sound as a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes((sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def png(rolls: Sequence[np.ndarray] | np.ndarray, form: RollFormat, start: float = 0.0) -> bytes:
    """A picture of rolls, one below the other: every note a line, louder ones darker.

    Args:
      rolls: the rolls.
      form: their format.
      start: where what was generated begins, in seconds; before it is what was given.
    """
    music = [to_notes(roll, form) for roll in rolls]
    figure = Figure(figsize=(10, max(4, 1.5 * len(rolls))), layout="constrained")
    rows = figure.subplots(len(rolls), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, notes in zip(rows, music, strict=True):
        _draw(axes, notes, form)
        if start:
            axes.axvline(start, color="gray", linestyle="--")
    pitches = np.concatenate([notes.pitch for notes in music])
    low, high = (pitches.min(), pitches.max()) if len(pitches) else (60, 60)
    octaves = range(low // 12 * 12, high + 13, 12)
    rows[-1].set_yticks(octaves, [pretty_midi.note_number_to_name(pitch) for pitch in octaves])
    length = max(notes.length for notes in music)
    rows[-1].set(xlim=(0, length), ylim=(low - 2, high + 2), xlabel="seconds")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _draw(axes: Axes, notes: Notes, form: RollFormat) -> None:
    """Notes and their onsets, keyboards by colour."""
    lines = np.stack([notes.start, notes.pitch, notes.end, notes.pitch], axis=1).reshape(-1, 2, 2)
    colours = {program: f"C{keyboard}" for keyboard, program in enumerate(form.programs)}
    axes.add_collection(
        LineCollection(
            list(lines),
            linewidths=3,
            capstyle="butt",
            colors=[colours[program] for program in notes.program.tolist()],
            alpha=0.3 + 0.7 * notes.velocity / 127 if len(lines) else None,
        )
    )
    axes.plot(notes.start, notes.pitch, "k|", markersize=4)
    axes.grid(axis="y", alpha=0.3)


class Statistics(NamedTuple):
    """What music is like."""

    seconds: float
    notes_per_second: float
    polyphony: float  # keys that sound, where any does
    note_seconds: float  # mean
    lowest: int  # pitch, -1 of no notes
    highest: int
    silence: float  # share of the frames


def statistics(roll: np.ndarray, form: RollFormat) -> Statistics:
    """The statistics of a roll."""
    notes: Notes = to_notes(roll, form)
    sounding = np.count_nonzero(roll, axis=1)
    return Statistics(
        notes.length,
        len(notes.start) / notes.length,
        float(sounding[sounding > 0].mean()) if sounding.any() else 0.0,
        float(np.mean(notes.end - notes.start)) if len(notes.start) else 0.0,
        int(notes.pitch.min(initial=128)) if len(notes.start) else -1,
        int(notes.pitch.max(initial=-1)),
        float(np.mean(sounding == 0)),
    )


def table(rows: dict[str, Statistics]) -> str:
    """Statistics as lines of text, a row each."""
    width = max(map(len, rows))
    header = f"{'':{width}}  seconds  notes/s  keys at once  s a note  pitches   silence"
    lines = [
        f"{name:{width}}  {x.seconds:7.1f}  {x.notes_per_second:7.2f}  {x.polyphony:12.2f}  "
        f"{x.note_seconds:8.2f}  {_pitches(x):8}  {x.silence:7.1%}"
        for name, x in rows.items()
    ]
    return "\n".join([header, *lines])


def _pitches(statistics: Statistics) -> str:
    if statistics.lowest < 0:
        return "-"
    names = map(pretty_midi.note_number_to_name, (statistics.lowest, statistics.highest))
    return "-".join(names)
