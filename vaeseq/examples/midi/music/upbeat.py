"""Upbeats: what precedes the first full bar of a piece."""

import numpy as np

from vaeseq.examples.midi.music.midi_file import MidiFile, Notes


def beats(midi: MidiFile) -> float:
    """Returns the length of the upbeat in beats: of a first bar shorter than the second, or 0."""
    if midi.ticks_per_beat is None or len(midi.time_signatures) < 2:
        return 0.0
    first, second = midi.time_signatures[:2]
    is_one_bar = first.tick == 0 and second.tick == first.bar * midi.ticks_per_beat
    return first.bar if is_one_bar and first.bar < second.bar else 0.0


def skip(midi: MidiFile) -> Notes:
    """Returns the notes from the first full bar on, with times in beats.

    Raises:
      Refused: if the file has no beats.
    """
    notes, upbeat = midi.in_beats(), beats(midi)
    notes = notes.select(notes.end > upbeat)
    return notes._replace(
        start=np.maximum(notes.start - upbeat, 0.0),
        end=notes.end - upbeat,
        length=notes.length - upbeat,
    )
