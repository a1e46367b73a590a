"""Melodies: one symbol a step, for one voice.

A symbol is 0, silence; 1, the note goes on; or 2, 3, ..., 89, a note of the 88 keys of a piano
begins. Of notes that begin together the highest is the melody's; those outside of the piano are
moved into it by octaves.
"""

import numpy as np

from vaeseq.examples.midi.music.roll import HELD, KEYS, SILENT, STRUCK

REST, HOLD, FIRST = 0, 1, 2
_LOWEST, _PIANO = 21, 88
SYMBOLS = FIRST + _PIANO


def of_rolls(rolls: np.ndarray, begins_within: bool = False) -> np.ndarray:
    """Rolls with one level of velocity [..., T, 128] to symbols [..., T].

    With `begins_within`, a note that is held in the first frame begins there.
    """
    begins = rolls >= STRUCK
    if begins_within:
        begins[..., 0, :] |= rolls[..., 0, :] != SILENT
    highest = KEYS - 1 - np.argmax(begins[..., ::-1], axis=-1)
    held = np.where((rolls != SILENT).any(axis=-1), HOLD, REST)
    return np.where(begins.any(axis=-1), FIRST + _into_piano(highest), held).astype(np.uint8)


def to_rolls(symbols: np.ndarray) -> np.ndarray:
    """Symbols [..., T] to rolls with one level of velocity; what goes on from silence is silent."""
    symbols = np.asarray(symbols).astype(int)
    steps = np.arange(symbols.shape[-1])
    begun = np.maximum.accumulate(np.where(symbols != HOLD, steps, 0), axis=-1)
    sounding = np.take_along_axis(symbols, begun, axis=-1)  # the symbol that goes on, or silence
    states = np.where(symbols >= FIRST, STRUCK, HELD) * (sounding >= FIRST)
    rolls = np.zeros([*symbols.shape, KEYS], np.uint8)
    keys = np.where(sounding >= FIRST, _LOWEST + sounding - FIRST, 0)
    np.put_along_axis(rolls, keys[..., None], states[..., None].astype(np.uint8), axis=-1)
    return rolls


def _into_piano(keys: np.ndarray) -> np.ndarray:
    """Keys from 0 to 127 to those of the piano, from 0 to 87."""
    low = np.where(keys < _LOWEST, keys + 12 * -((keys - _LOWEST) // 12), keys)
    high = _LOWEST + _PIANO - 1
    return np.where(low > high, low - 12 * -((high - low) // 12), low) - _LOWEST
