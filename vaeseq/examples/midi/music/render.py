"""Rolls as sound, as pictures, and as statistics."""

import io
import wave
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pretty_midi
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from vaeseq.examples.midi.music.midi_file import DRUMS, Notes
from vaeseq.examples.midi.music.roll import RollFormat, to_notes

SAMPLE_RATE = 22050  # Hz


def synthesize(notes: Notes) -> np.ndarray:
    """Returns the sound of notes in seconds, float32 [samples] in [-1, 1], as long as the piece.

    Uses FluidSynth and its instruments if pyfluidsynth is installed, otherwise sine waves.
    """
    midi = pretty_midi.PrettyMIDI()
    for program in np.unique(notes.program).tolist():
        drums = program == DRUMS
        instrument = pretty_midi.Instrument(0 if drums else program, is_drum=drums)
        own = zip(*(x[notes.program == program].tolist() for x in notes[:4]), strict=True)
        instrument.notes = [pretty_midi.Note(v, p, s, e) for s, e, p, v in own]
        midi.instruments.append(instrument)
    try:
        sound = midi.fluidsynth(SAMPLE_RATE)
    except (ImportError, AttributeError, OSError):  # not installed, or only in part
        sound = midi.synthesize(SAMPLE_RATE)
    length = round(notes.length * SAMPLE_RATE)
    sound = np.pad(sound[:length], (0, max(0, length - len(sound))))
    return sound.astype(np.float32)


def sound_bytes(seconds: float, num_programs: int) -> float:
    """Returns the least number of bytes that `synthesize` allocates.

    Every instrument is a sequence of float64, and so is their sum.
    """
    return 8 * seconds * SAMPLE_RATE * (1 + num_programs)


def wav_bytes(sound: np.ndarray) -> bytes:
    """Returns the sound as a 16-bit WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes((sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def plot_rolls(
    rolls: Sequence[np.ndarray] | np.ndarray, form: RollFormat, start: float = 0.0
) -> bytes:
    """Returns a PNG picture of rolls, one below the other. A line is a note; louder is darker.

    Args:
      rolls: the rolls.
      form: their format.
      start: where the generated music starts, in seconds; marked by a dashed line if above 0.
    """
    return plot_notes([to_notes(roll, form) for roll in rolls], form.programs, start)


def plot_notes(music: Sequence[Notes], programs: Sequence[int], start: float = 0.0) -> bytes:
    """Returns a PNG picture of pieces, with times in seconds; see `plot_rolls`.

    Args:
      music: the pieces.
      programs: the programs in the order of their colors; others follow.
      start: where the generated music starts.
    """
    others = {program for notes in music for program in notes.program.tolist()}
    order = dict.fromkeys([*programs, *sorted(others)])
    colors = {program: f"C{number}" for number, program in enumerate(order)}
    figure = Figure(figsize=(10, max(4, 1.5 * len(music))), layout="constrained")
    rows = figure.subplots(len(music), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, notes in zip(rows, music, strict=True):
        _plot_notes(axes, notes, colors)
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


def _plot_notes(axes: Axes, notes: Notes, colors: Mapping[int, str]) -> None:
    """Plots notes, with a tick at each onset and a color for each program."""
    lines = np.stack([notes.start, notes.pitch, notes.end, notes.pitch], axis=1).reshape(-1, 2, 2)
    axes.add_collection(
        LineCollection(
            list(lines),
            linewidths=3,
            capstyle="butt",
            colors=[colors[program] for program in notes.program.tolist()],
            alpha=0.3 + 0.7 * notes.velocity / 127 if len(lines) else None,
        )
    )
    axes.plot(notes.start, notes.pitch, "k|", markersize=4)
    axes.grid(axis="y", alpha=0.3)


class Statistics(NamedTuple):
    """Statistics of a roll."""

    seconds: float
    notes_per_second: float
    polyphony: float  # mean number of sounding keys, over the frames that are not silent
    note_seconds: float  # mean length of a note
    lowest: int  # MIDI pitch, without drums; -1 if there are no notes
    highest: int
    silence: float  # share of silent frames


def roll_statistics(roll: np.ndarray, form: RollFormat, notes: Notes | None = None) -> Statistics:
    """Computes the statistics of a roll, or of other notes in seconds that the roll shows."""
    notes = notes or to_notes(roll, form)
    sounding = np.count_nonzero(roll, axis=1)
    pitches = notes.pitch[notes.program != DRUMS]
    return Statistics(
        notes.length,
        len(notes.start) / notes.length,
        float(sounding[sounding > 0].mean()) if sounding.any() else 0.0,
        float(np.mean(notes.end - notes.start)) if len(notes.start) else 0.0,
        int(pitches.min()) if len(pitches) else -1,
        int(pitches.max(initial=-1)),
        float(np.mean(sounding == 0)),
    )


def describe(statistics: Statistics) -> dict[str, str]:
    """Returns statistics as texts, by the names that tables give them."""
    x = statistics
    names = [pretty_midi.note_number_to_name(pitch) for pitch in (x.lowest, x.highest)]
    return {
        "length (s)": f"{x.seconds:.2f}",
        "notes/s": f"{x.notes_per_second:.2f}",
        "polyphony": f"{x.polyphony:.2f}",
        "note length (s)": f"{x.note_seconds:.2f}",
        "pitch range": "-" if x.lowest < 0 else " to ".join(names),
        "silence": f"{x.silence:.1%}",
    }


def format_table(rows: Mapping[str, Statistics]) -> str:
    """Returns statistics as a table with a header and one line for each row."""
    texts = {name: describe(row) for name, row in rows.items()}
    header = next(iter(texts.values()))
    cells = [("", *header), *((name, *row.values()) for name, row in texts.items())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            [name.ljust(widths[0]), *map(str.rjust, values, widths[1:])],
        )
        for name, *values in cells
    )
