"""Piano rolls: the state of every key in every frame.

A roll is uint8 [T, keyboards * 128]. Each instrument that is kept apart has its own keyboard. In a
frame, a key is 0, silent; 1, held; or 2, 3, ..., struck at that velocity level. Repeated notes
therefore stay separate. Without velocity levels, a key is 0 or 1, as in the literature, and
repeated notes merge into one.
"""

import dataclasses
import math

import numpy as np

from vaeseq.examples.midi.music.instruments import describe_programs
from vaeseq.examples.midi.music.key import shift_to_c
from vaeseq.examples.midi.music.midi_file import DRUMS, Notes, Refused

KEYS = 128
SILENT, HELD, STRUCK = 0, 1, 2

MAX_ENTRIES = 1 << 26
"""The most frames times keys of the roll of a piece."""
MAX_FRAMES = 2 * MAX_ENTRIES // KEYS
"""The most frames of the roll of a piece, whose last note may end after the piece."""
TEMPOS = (10.0, 1000.0)
"""The lowest and the highest tempo that is chosen for music, in beats per minute."""
_PROGRAMS_IN_A_FAMILY = 8
_DRUM_FAMILY = DRUMS // _PROGRAMS_IN_A_FAMILY


@dataclasses.dataclass(frozen=True)
class RollFormat:
    """The format of a roll.

    Args:
      rate: frames per unit of time.
      beats: whether the unit of time is the beat; otherwise it is the second.
      tempo: beats per minute of the music that is made from rolls.
      velocity_levels: the number of velocity levels; 0 for rolls of 0 and 1.
      programs: for each keyboard, the General MIDI program that plays it, or `DRUMS`.
      apart: whether a keyboard has only the notes of its program's family; otherwise it has all
        notes except drums.
      common_key: whether pieces are transposed to C major or A minor.
    """

    rate: float
    beats: bool = False
    tempo: float = 120.0
    velocity_levels: int = 1
    programs: tuple[int, ...] = (0,)
    apart: bool = False
    common_key: bool = False

    @property
    def num_keys(self) -> int:
        """The number of keys on all keyboards."""
        return KEYS * len(self.programs)

    @property
    def num_states(self) -> int:
        """The number of states of a key."""
        return STRUCK + self.velocity_levels

    @property
    def pitched(self) -> np.ndarray:
        """Which keys have a pitch, i.e. are not drums, bool [num_keys]."""
        return np.repeat(np.array(self.programs) != DRUMS, KEYS)

    @property
    def frames_per_second(self) -> float:
        """The frame rate of the music that is made from rolls."""
        return self.rate * (self.tempo / 60 if self.beats else 1)

    def keyboards(self, programs: np.ndarray) -> np.ndarray:
        """Returns the keyboard of each program, or -1 if it has none."""
        by_family = np.full([_DRUM_FAMILY + 1], -1)
        for keyboard, program in enumerate(self.programs):
            if self.apart or program == DRUMS:
                by_family[family(program)] = keyboard
            else:
                by_family[:_DRUM_FAMILY] = keyboard
        return by_family[programs // _PROGRAMS_IN_A_FAMILY]


def family(program: int) -> int:
    """Returns the General MIDI family: 0 pianos, ..., 15 sound effects; 16 for `DRUMS`."""
    return program // _PROGRAMS_IN_A_FAMILY


def shift(notes: Notes, form: RollFormat) -> int:
    """Returns the semitones by which `to_roll` transposes a piece."""
    return shift_to_c(notes) if form.common_key else 0


def num_frames(notes: Notes, form: RollFormat) -> int:
    """Returns the length of a piece in frames.

    Raises:
      Refused: if the roll would be too large.
    """
    length = math.ceil(notes.length * form.rate - 0.5)
    if length * form.num_keys > MAX_ENTRIES:
        raise Refused(
            f"needs a roll of {length} frames x {form.num_keys} keys, above the limit of "
            f"{MAX_ENTRIES} entries; use a lower rate"
        )
    return length


def nearest_frames(times: np.ndarray, form: RollFormat) -> np.ndarray:
    """Returns the frames that begin nearest to times in the unit of `form`."""
    return np.floor(times * form.rate + 0.5).astype(int)


def check_keyboards(notes: Notes, form: RollFormat) -> int:
    """Returns how many notes have a keyboard.

    Raises:
      Refused: if none has.
    """
    number = int(np.sum(form.keyboards(notes.program) >= 0))
    if not number:
        raise Refused(f"has no notes for the run's keyboards: {describe_programs(form.programs)}")
    return number


def to_roll(notes: Notes, form: RollFormat) -> np.ndarray:
    """Converts notes to a roll. Notes whose program has no keyboard are left out.

    Onsets and ends are rounded to the nearest frame, and every note lasts at least one frame. A
    key that is struck again ends the note it played before. See `shift` for transpositions.

    Args:
      notes: the notes, with times in the unit of `form`.
      form: the format of the roll.

    Returns:
      The roll, uint8 [T, num_keys].

    Raises:
      Refused: if the roll would be too large.
    """
    length = num_frames(notes, form)
    keyboards = form.keyboards(notes.program)
    begins, ends = (nearest_frames(x, form) for x in (notes.start, notes.end))
    ends = np.maximum(ends, begins + 1)
    pitch = transpose(notes, shift(notes, form)).pitch
    keys = keyboards * KEYS + pitch
    kept = keyboards >= 0
    begins, ends, keys = begins[kept], ends[kept], keys[kept]
    roll = np.zeros([max(length, ends.max(initial=0)), form.num_keys], np.uint8)
    for begin, end, key in zip(begins.tolist(), ends.tolist(), keys.tolist(), strict=True):
        roll[begin:end, key] = HELD
    if form.velocity_levels:
        levels = (notes.velocity[kept] - 1) * form.velocity_levels // 127
        np.maximum.at(roll, (begins, keys), (STRUCK + levels).astype(np.uint8))
    return roll


def transpose(notes: Notes, semitones: int) -> Notes:
    """Returns notes in another key; drums stay. What leaves the range of MIDI goes by octaves."""
    moved = notes.pitch + semitones * (notes.program != DRUMS)
    moved = moved - 12 * (moved >= KEYS) + 12 * (moved < 0)
    return notes._replace(pitch=moved.astype(np.int32))


def to_notes(roll: np.ndarray, form: RollFormat) -> Notes:
    """Converts a roll to notes, with times in seconds. A key held after silence is struck."""
    notes, seconds = to_notes_in_frames(roll, form), 1 / form.frames_per_second
    start, end, *others, length = notes
    return Notes._make([start * seconds, end * seconds, *others, length * seconds])


def to_notes_in_frames(roll: np.ndarray, form: RollFormat) -> Notes:
    """Converts a roll to notes, with times in frames; see `to_notes`."""
    sounding = roll.T != SILENT  # [K, T]
    before = np.pad(sounding[:, :-1], [(0, 0), (1, 0)])
    onsets = (sounding & ~before) | (roll.T >= STRUCK)
    changes = np.pad(onsets | (before & ~sounding), [(0, 0), (0, 1)], constant_values=True)
    # Sorted by key, then by frame: a note lasts until the next change of its key.
    keys, frames = np.nonzero(changes)
    ends = np.append(frames[1:], 0)
    starts = np.pad(onsets, [(0, 0), (0, 1)])[keys, frames]
    keys, frames, ends = keys[starts], frames[starts], ends[starts]
    levels = np.maximum(roll[frames, keys].astype(int) - STRUCK, 0)
    order = np.lexsort((keys, frames))
    programs = np.array(form.programs)[keys // KEYS]
    velocities = level_to_velocity(levels, max(1, form.velocity_levels))
    columns = (frames, ends, keys % KEYS, velocities, programs)
    return Notes._make([*(column[order] for column in columns), len(roll)])


def level_to_velocity(level: np.ndarray, num_levels: int) -> np.ndarray:
    """Returns the velocity, 1 to 127, in the middle of each level's range."""
    first = -(-level * 127 // num_levels)
    last = -(-(level + 1) * 127 // num_levels) - 1
    return 1 + (first + last) // 2
