"""Melodies: one voice, one symbol per frame.

The symbols are 0, a rest; 1, hold the current note; and 2, 3, ..., 89, the start of a note on one
of the 88 keys of a piano. If several notes start together, the melody has the highest. A note that
starts below one that sounds is left out, or is in the melody, too, which then jumps between voices.
Notes outside the range of the piano are moved into it by octaves.
"""

import numpy as np

from vaeseq.examples.midi.music.roll import HELD, KEYS, SILENT, STRUCK

REST, HOLD, FIRST = 0, 1, 2
_LOWEST, _PIANO = 21, 88
SYMBOLS = FIRST + _PIANO


def from_rolls(
    rolls: np.ndarray, strike_first_frame: bool = False, top_voice: bool = False
) -> np.ndarray:
    """Converts rolls to symbols.

    Args:
      rolls: rolls with one velocity level, uint8 [..., T, 128].
      strike_first_frame: whether a note that is held in the first frame starts there. Pass True
        for an excerpt, which may cut notes.
      top_voice: whether notes that start below one that sounds are left out.

    Returns:
      Symbols, uint8 [..., T].
    """
    sounding, onsets = rolls != SILENT, rolls >= STRUCK
    if strike_first_frame:
        onsets[..., 0, :] |= sounding[..., 0, :]
    if top_voice:
        onsets &= _highest(sounding)[..., None] == np.arange(KEYS)
    starts = np.asarray(onsets.any(axis=-1))
    keys = _highest(onsets)
    held = _melody_is_held(sounding, starts, keys) if top_voice else sounding.any(axis=-1)
    return np.where(starts, FIRST + _into_piano(keys), np.where(held, HOLD, REST)).astype(np.uint8)


def to_rolls(symbols: np.ndarray) -> np.ndarray:
    """Converts symbols to rolls. A hold that follows no note is silent.

    Args:
      symbols: symbols, integers [..., T].

    Returns:
      Rolls with one velocity level, uint8 [..., T, 128].
    """
    symbols = np.asarray(symbols).astype(int)
    steps = np.arange(symbols.shape[-1])
    latest = np.maximum.accumulate(np.where(symbols != HOLD, steps, 0), axis=-1)
    sounding = np.take_along_axis(symbols, latest, axis=-1)  # the current note, or a rest
    states = np.where(symbols >= FIRST, STRUCK, HELD) * (sounding >= FIRST)
    rolls = np.zeros([*symbols.shape, KEYS], np.uint8)
    keys = np.where(sounding >= FIRST, _LOWEST + sounding - FIRST, 0)
    np.put_along_axis(rolls, keys[..., None], states[..., None].astype(np.uint8), axis=-1)
    return rolls


def _highest(keys: np.ndarray) -> np.ndarray:
    """Returns the highest key of each frame, int [..., T], given bool [..., T, 128]."""
    return KEYS - 1 - np.argmax(keys[..., ::-1], axis=-1)


def _melody_is_held(sounding: np.ndarray, starts: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Returns whether the note that started last still sounds, bool [..., T].

    Before the first start, it is any note: the frames may be the middle of a piece.
    """
    steps = np.arange(starts.shape[-1])
    latest = np.maximum.accumulate(np.where(starts, steps, -1), axis=-1)
    current = np.take_along_axis(keys, np.maximum(latest, 0), axis=-1)
    held: np.ndarray = np.take_along_axis(sounding, current[..., None], axis=-1)[..., 0]
    return np.where(latest >= 0, held, sounding.any(axis=-1))


def _into_piano(keys: np.ndarray) -> np.ndarray:
    """Maps MIDI keys 0 to 127 to piano keys 0 to 87, by octaves."""
    low = np.where(keys < _LOWEST, keys + 12 * -((keys - _LOWEST) // 12), keys)
    high = _LOWEST + _PIANO - 1
    return np.where(low > high, low - 12 * -((high - low) // 12), low) - _LOWEST
