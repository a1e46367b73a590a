"""Pieces of music as the page sends them: a length in frames, and notes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat, to_notes_in_frames

MAX_FRAMES = 1024
"""The most frames of a piece."""
MAX_NOTES = 4096
"""The most notes of a piece."""


def parse(content: Mapping[str, Any], where: str, form: RollFormat) -> np.ndarray:
    """Returns a piece as a roll, uint8 [frames, KEYS].

    Args:
      content: `{"frames": T, "notes": [[start, length, pitch], ...]}`, with a valid number of
        frames and a list of notes that were not looked at yet.
      where: the name of the piece, for messages.
      form: the format of the roll.

    Raises:
      ValueError: if a note is none, or does not lie in the piece.
    """
    frames = int(content["frames"])
    roll = np.zeros([frames, KEYS], np.uint8)
    notes = [_parse_note(note, f"{where}.notes[{i}]") for i, note in enumerate(content["notes"])]
    for i, (start, length, pitch) in enumerate(notes):
        if start + length > frames:
            raise ValueError(f"{where}.notes[{i}]: ends after the {frames} frames of the piece")
        roll[start : start + length, pitch] = HELD
    if form.velocity_levels:
        for start, _, pitch in notes:
            roll[start, pitch] = STRUCK + form.velocity_levels // 2
    return roll


def _parse_note(note: Any, where: str) -> tuple[int, int, int]:
    if not isinstance(note, list) or len(note) != 3 or not all(map(_is_whole, note)):
        raise ValueError(f"{where}: must be [start, length, pitch], whole numbers")
    start, length, pitch = map(int, note)
    if start < 0 or length < 1 or not 0 <= pitch < KEYS:
        raise ValueError(
            f"{where}: start must be at least 0, length at least 1, pitch from 0 to {KEYS - 1}"
        )
    return start, length, pitch


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def to_json(roll: np.ndarray, form: RollFormat) -> dict[str, Any]:
    """Returns a roll, uint8 [T, KEYS], as the page reads it: the inverse of `parse`.

    Loudness is left out.
    """
    notes = to_notes_in_frames(roll, form)
    columns = np.stack([notes.start, notes.end - notes.start, notes.pitch], axis=1)
    return {"frames": len(roll), "notes": sorted(columns.tolist())}


def fit(roll: np.ndarray, frames: int) -> np.ndarray:
    """Returns a roll of a number of frames: its beginning, or with silence at its end."""
    return np.pad(roll[:frames], [(0, max(0, frames - len(roll))), (0, 0)])


def without_ringing(roll: np.ndarray, start: int, form: RollFormat) -> np.ndarray:
    """Returns a roll in which no note that starts before a frame rings on in it or after it."""
    notes = to_notes_in_frames(roll, form)
    cut = roll.copy()
    for i in np.flatnonzero((notes.start < start) & (notes.end > start)):
        cut[start : notes.end[i], notes.pitch[i]] = 0
    return cut


def strike(roll: np.ndarray, frames: np.ndarray, form: RollFormat) -> np.ndarray:
    """Returns a roll in which the keys that sound in some frames, bool [T], are struck there."""
    if not form.velocity_levels:
        return roll
    struck = np.where(roll == HELD, STRUCK + form.velocity_levels // 2, roll).astype(np.uint8)
    return np.where(frames[:, None], struck, roll)
