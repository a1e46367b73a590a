"""The key of a piece, found by the time that each pitch class sounds.

The method of Krumhansl and Schmuckler: the key is the one whose profile, how well each pitch class
is felt to fit it, correlates best with these times. The profiles are those of Krumhansl and Kessler
1982, "Tracing the dynamic changes in perceived tonal organization in a spatial representation of
musical keys", Psychological Review 89, 334-368.
"""

import numpy as np

from vaeseq.examples.midi.music.midi_file import DRUMS, Notes

_OCTAVE, _LOWEST, _A = 12, -5, 9
_C_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_C_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_PROFILES = np.array([_C_MAJOR, np.roll(_C_MINOR, _A)])  # of C major and A minor


def shift_to_c(notes: Notes) -> int:
    """Returns the semitones, -5 to 6, that move a piece into C major or A minor; drums are no part.

    A piece without pitched notes stays where it is.
    """
    pitched = notes.program != DRUMS
    lengths = (notes.end - notes.start)[pitched]
    times = np.bincount(notes.pitch[pitched] % _OCTAVE, lengths, minlength=_OCTAVE)
    shifts = np.arange(_LOWEST, _LOWEST + _OCTAVE)
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]  # 0 first, for pieces without notes
    moved = np.stack([np.roll(times, shift) for shift in shifts])
    profiles = _PROFILES - _PROFILES.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    return int(shifts[np.argmax(np.max(moved @ profiles.T, axis=1))])
