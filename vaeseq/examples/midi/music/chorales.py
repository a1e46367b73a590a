"""The chorales of J. S. Bach that the package `music21` brings as scores.

Nothing else is imported here: a process that reads scores begins quickly.
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

TEMPO = 80.0  # beats a minute; the scores have none

_NO_CHORALE = "bwv846.mxl"  # a prelude for the keyboard
_VELOCITY, _PROGRAM = 64, 0


def find() -> list[Path]:
    """The scores; none where music21 is not installed."""
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0], "corpus", "bach")
    scores = [*folder.glob("bwv*.mxl"), *folder.glob("bwv*.xml")]
    return sorted(path for path in scores if path.name != _NO_CHORALE)


def read_all(paths: list[Path]) -> Iterator[Notes]:
    """The notes of scores, in beats: `read`, on all cores."""
    # Fork would copy TensorFlow's threads as they stand.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _leave_signals_to_the_parent) as pool:
        try:
            yield from pool.map(read, paths, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_signals_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def read(path: Path) -> Notes:
    """The notes of a score, in beats; tied notes are one."""
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
    same = [np.full(len(pitch), x, np.int32) for x in (_VELOCITY, _PROGRAM)]
    return Notes._make([start, end, pitch.astype(np.int32), *same, float(score.highestTime)])
