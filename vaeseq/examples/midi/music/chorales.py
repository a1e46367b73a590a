"""The chorales of J. S. Bach that the package `music21` contains as scores."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vaeseq.examples.midi.music import musicxml, upbeat
from vaeseq.examples.midi.music.midi_file import Notes

TEMPO = 80.0  # beats per minute; most scores do not give a tempo

_NOT_A_CHORALE = "bwv846.mxl"  # a prelude for keyboard
_VELOCITY, _PROGRAM = 64, 0


def find_scores() -> list[Path]:
    """Returns the paths of the scores; an empty list if music21 is not installed."""
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0], "corpus", "bach")
    scores = [*folder.glob("bwv*.mxl"), *folder.glob("bwv*.xml")]
    return sorted(path for path in scores if path.name != _NOT_A_CHORALE)


def parse_scores(paths: list[Path], skip_upbeats: bool = False) -> Iterator[Notes]:
    """Yields the notes of each score, with times in beats, all played by one instrument.

    With `skip_upbeats`, they begin with the first full bar.
    """
    for parsed in musicxml.parse_files(paths):
        if isinstance(parsed, Exception):
            raise parsed
        notes = upbeat.skip(parsed) if skip_upbeats else parsed.in_beats()
        velocity, program = (np.full(len(notes.pitch), x, np.int32) for x in (_VELOCITY, _PROGRAM))
        yield notes._replace(velocity=velocity, program=program)
