"""The chorales of J. S. Bach that the package `music21` contains as scores.

This module imports little, so that the processes that parse scores start quickly.
"""

import importlib.util
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from vaeseq.examples.midi.music.midi_file import Notes

TEMPO = 80.0  # beats per minute; the scores do not give a tempo

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


def parse_scores(paths: list[Path]) -> Iterator[Notes]:
    """Yields the notes of each score, with times in beats; see `parse_score`. Uses all cores."""
    # A fork would copy TensorFlow's threads in an undefined state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _ignore_interrupts) as pool:
        try:
            yield from pool.map(parse_score, paths, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leaves Ctrl-C to the parent process, which shuts the pool down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def parse_score(path: Path) -> Notes:
    """Returns the notes of a score, with times in beats; tied notes are merged into one."""
    import music21

    score = music21.converter.parse(path, forceSource=True, storePickle=False)
    columns: list[list[float]] = []
    for part in score.parts:  # type: ignore[union-attr]  # a score
        tied: dict[int, list[float]] = {}
        for note in part.flatten().notes:
            begin, end = float(note.offset), float(note.offset + note.quarterLength)
            for pitch in note.pitches:
                kind = note.tie.type if note.tie else ""
                column = tied.pop(pitch.midi, None) if kind in ("stop", "continue") else None
                if column is None:
                    columns.append(column := [begin, end, pitch.midi])
                column[1] = end
                if kind in ("start", "continue"):
                    tied[pitch.midi] = column
    start, end, pitch = np.array(sorted(x for x in columns if x[1] > x[0])).T
    constants = [np.full(len(pitch), x, np.int32) for x in (_VELOCITY, _PROGRAM)]
    return Notes._make([start, end, pitch.astype(np.int32), *constants, float(score.highestTime)])
