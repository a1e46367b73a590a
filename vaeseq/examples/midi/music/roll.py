"""Piano rolls: what every key does in every frame.

A roll is uint8 [T, keyboards * 128]. Each instrument that is kept apart has a keyboard. In a frame
a key is 0, silent; 1, sounding on; or 2, 3, ..., struck, at that level of velocity. Repeated notes
are therefore no long note. Without levels of velocity a key is 0 or 1, as in the literature, and
repeated notes become one.
"""

import dataclasses
import io
import math
from typing import Any

import numpy as np
import pretty_midi

from vaeseq.examples.midi.music.midi_file import DRUMS, Notes, Refused

KEYS = 128
SILENT, HELD, STRUCK = 0, 1, 2

_MOST_BYTES = 1 << 26  # of a roll
_ALL_NOTES_OFF = 123


@dataclasses.dataclass(frozen=True)
class RollFormat:
    """How music is written as a roll.

    Args:
      rate: frames per unit of time.
      beats: whether that unit is the beat, or else the second.
      tempo: beats a minute, of music that is written from rolls.
      velocity_levels: how many there are; 0 for rolls of 0 and 1.
      programs: of every keyboard, the General MIDI program that plays it, or `DRUMS`.
      apart: whether a keyboard has only the notes of the family of its program, or else all but
        drums.
    """

    rate: float
    beats: bool = False
    tempo: float = 120.0
    velocity_levels: int = 1
    programs: tuple[int, ...] = (0,)
    apart: bool = False

    @property
    def num_keys(self) -> int:
        """Of all keyboards."""
        return KEYS * len(self.programs)

    @property
    def num_states(self) -> int:
        """Of a key."""
        return STRUCK + self.velocity_levels

    @property
    def pitched(self) -> np.ndarray:
        """Which keys have a pitch and are no drums, bool [num_keys]."""
        return np.repeat(np.array(self.programs) != DRUMS, KEYS)

    @property
    def frames_per_second(self) -> float:
        """Of music that is written from rolls."""
        return self.rate * (self.tempo / 60 if self.beats else 1)

    def keyboards(self, programs: np.ndarray) -> np.ndarray:
        """The keyboards on which notes of these programs are, -1 where on none."""
        by_family = np.full([family(DRUMS) + 1], -1)
        for keyboard, program in enumerate(self.programs):
            if self.apart or program == DRUMS:
                by_family[family(program)] = keyboard
            else:
                by_family[: family(DRUMS)] = keyboard
        return by_family[family(programs)]


def family(program: Any) -> Any:
    """The family of General MIDI: 0 pianos, ..., 15 sound effects, and 16 drums."""
    return program // 8


def num_frames(notes: Notes, form: RollFormat) -> int:
    """How many frames a piece lasts; `Refused` where its roll would be too large."""
    length = math.ceil(notes.length * form.rate - 0.5)
    if length * form.num_keys > _MOST_BYTES:
        raise Refused(
            f"lasts {length} frames of {form.num_keys} keys, above {_MOST_BYTES} together; "
            "a lower rate makes them fewer"
        )
    return length


def to_roll(notes: Notes, form: RollFormat) -> np.ndarray:
    """Notes to a roll; those of no keyboard are left out.

    Onsets and ends go to the nearest frame, but every note lasts a frame. A key that is struck
    again ends what it played before.

    Args:
      notes: with times in the unit of `form`.
      form: the format.

    Raises:
      Refused: where the roll would be too large.
    """
    length = num_frames(notes, form)
    keyboards = form.keyboards(notes.program)
    begins, ends = (np.floor(x * form.rate + 0.5).astype(int) for x in (notes.start, notes.end))
    ends = np.maximum(ends, begins + 1)
    keys = keyboards * KEYS + notes.pitch
    kept = keyboards >= 0
    begins, ends, keys = begins[kept], ends[kept], keys[kept]
    roll = np.zeros([max(length, ends.max(initial=0)), form.num_keys], np.uint8)
    for begin, end, key in zip(begins.tolist(), ends.tolist(), keys.tolist(), strict=True):
        roll[begin:end, key] = HELD
    if form.velocity_levels:
        levels = (notes.velocity[kept] - 1) * form.velocity_levels // 127
        np.maximum.at(roll, (begins, keys), (STRUCK + levels).astype(np.uint8))
    return roll


def to_notes(roll: np.ndarray, form: RollFormat) -> Notes:
    """A roll to notes, with times in seconds. A silent key that is held is struck."""
    sounding = roll.T != SILENT  # [K, T]
    before = np.pad(sounding[:, :-1], [(0, 0), (1, 0)])
    begins = (sounding & ~before) | (roll.T >= STRUCK)
    changes = np.pad(begins | (before & ~sounding), [(0, 0), (0, 1)], constant_values=True)
    # By key, then by frame: a note lasts until the next change of its key.
    keys, frames = np.nonzero(changes)
    ends = np.append(frames[1:], 0)
    starts = np.pad(begins, [(0, 0), (0, 1)])[keys, frames]
    keys, frames, ends = keys[starts], frames[starts], ends[starts]
    levels = np.maximum(roll[frames, keys].astype(int) - STRUCK, 0)
    order = np.lexsort((keys, frames))
    programs = np.array(form.programs)[keys // KEYS]
    seconds = 1 / form.frames_per_second
    times = (frames * seconds, ends * seconds)
    parts = (*times, keys % KEYS, velocity(levels, max(1, form.velocity_levels)), programs)
    return Notes._make([*(part[order] for part in parts), len(roll) * seconds])


def velocity(level: np.ndarray, levels: int) -> np.ndarray:
    """The velocity in the middle of those of a level."""
    first = -(-level * 127 // levels)
    last = -(-(level + 1) * 127 // levels) - 1
    return 1 + (first + last) // 2


def to_midi(roll: np.ndarray, form: RollFormat) -> pretty_midi.PrettyMIDI:
    """A roll to a piece of the same length: where it ends in silence, an event marks the end."""
    notes = to_notes(roll, form)
    # A frame has two ticks or more, and a whole number of them where it can.
    resolution = max(480, math.ceil(4 * form.frames_per_second / (form.tempo / 60)))
    midi = pretty_midi.PrettyMIDI(resolution=resolution, initial_tempo=form.tempo)
    for program in form.programs:
        drums = program == DRUMS
        instrument = pretty_midi.Instrument(0 if drums else program, is_drum=drums)
        own = zip(*(x[notes.program == program].tolist() for x in notes[:4]), strict=True)
        instrument.notes = [pretty_midi.Note(v, p, s, e) for s, e, p, v in own]
        end = pretty_midi.ControlChange(_ALL_NOTES_OFF, 0, notes.length)
        instrument.control_changes.append(end)
        midi.instruments.append(instrument)
    return midi


def midi_bytes(midi: pretty_midi.PrettyMIDI) -> bytes:
    """The piece as a MIDI file."""
    file = io.BytesIO()
    midi.write(file)
    return file.getvalue()
