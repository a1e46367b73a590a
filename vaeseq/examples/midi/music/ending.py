"""Where a generated piece ends: a model of windows does not know the end of a piece."""

import numpy as np

from vaeseq.examples.midi.music.roll import RollFormat, to_notes_in_frames

MAX_SECONDS = 8.0
"""The most that a sample lasts longer than asked for, if it ends where the music rests."""
_MAX_SHARE = 0.5  # of the length that was asked for


def most_extra_seconds(length: float) -> float:
    """Returns the most that a sample of a length lasts longer, both in seconds."""
    return min(MAX_SECONDS, _MAX_SHARE * length)


def find_end(roll: np.ndarray, form: RollFormat, least: int, on_bar_line: np.ndarray) -> int:
    """Returns the frame at which a roll should end: where it rests longest.

    That is after the chord, or the silence, during which no note starts for the longest time; among
    equals, after the one that starts on a bar line, or else the first. Its notes end as they do in
    the roll, and the silence after them is left out.

    Args:
      roll: the frames that were generated.
      form: their format.
      least: the first frame at which the roll may end.
      on_bar_line: whether each frame begins a bar, bool [T].
    """
    notes = to_notes_in_frames(roll, form)
    starts = np.unique(notes.start)
    ends = np.append(starts, len(roll))[1:]  # when the next note starts
    starts, ends = starts[ends >= least], ends[ends >= least]
    if not len(starts):
        return least
    longest = np.lexsort((starts, ~on_bar_line[starts], starts - ends))[0]
    last = notes.end[notes.start <= starts[longest]].max()
    return int(np.clip(last, least, ends[longest]))
