"""How rolls are played: with the instruments and the tempo of a run, or as a given piece is.

A performance may start with the beginning of a piece, which stays as it is: its notes do not pass
through the grid of a roll. Only the frames after it become notes.
"""

import dataclasses
from typing import Self

import numpy as np

from vaeseq.examples.midi.music import midi_writer, roll, timing
from vaeseq.examples.midi.music.midi_file import MidiFile, Notes
from vaeseq.examples.midi.music.roll import RollFormat, to_notes_in_frames

_NO_NOTES = Notes._make([*[np.zeros(0)] * 2, *[np.zeros(0, np.int32)] * 3, 0.0])


@dataclasses.dataclass(frozen=True)
class Performance:
    """How a roll is played.

    Args:
      form: the format of the roll.
      midi: the tempos and signatures of the music, and its notes before the frame `start`.
      programs: the General MIDI program of each keyboard, or `DRUMS`.
      velocities: the velocity of each keyboard; None for those of the roll's velocity levels.
      start: the first frame that becomes notes.
      tempo: beats per minute from `start` on; None for the tempos of `midi`. If frames are counted
        per second, the music is as much faster as this tempo is than the last one of `midi`.
      transpose: the semitones by which the notes of the roll are moved.
    """

    form: RollFormat
    midi: MidiFile
    programs: tuple[int, ...]
    velocities: tuple[int, ...] | None = None
    start: int = 0
    tempo: float | None = None
    transpose: int = 0

    @classmethod
    def of_run(cls, form: RollFormat) -> Self:
        """Returns the performance with the tempo and the instruments of a run."""
        midi = MidiFile(_NO_NOTES, np.zeros(1), np.array([60 / form.tempo]), 1)
        return cls(form, timing.refine(midi, form), form.programs)

    @classmethod
    def after(cls, midi: MidiFile, form: RollFormat, frames: int) -> Self:
        """Returns the performance that continues a piece after the first frames of its roll.

        It takes over signatures, the mean tempo of the last bar, and for each keyboard the most
        frequent program and, unless the roll has velocity levels, the median velocity.
        """
        beginning = timing.first_frames(timing.refine(midi, form), form, frames)
        performance = cls._as_played(beginning, form, beginning, frames)
        return dataclasses.replace(performance, transpose=_back(midi, form))

    @classmethod
    def like(cls, midi: MidiFile, form: RollFormat) -> Self:
        """Returns the performance that takes over all but the notes of a piece; see `after`."""
        silent = timing.refine(midi._replace(notes=_NO_NOTES), form)
        return dataclasses.replace(cls._as_played(midi, form, silent), transpose=_back(midi, form))

    @classmethod
    def _as_played(cls, given: MidiFile, form: RollFormat, midi: MidiFile, start: int = 0) -> Self:
        keyboards = form.keyboards(given.notes.program)
        heard = given.notes.velocity[keyboards >= 0]
        programs, velocities = [], []
        for keyboard, program in enumerate(form.programs):
            own = given.notes.select(keyboards == keyboard)
            programs.append(int(np.bincount(own.program).argmax()) if len(own.program) else program)
            velocity = own.velocity if len(own.velocity) else heard
            velocities.append(int(np.median(velocity)) if len(velocity) else 0)
        has_velocities = form.velocity_levels > 1 or not len(heard)
        return cls(
            form, midi, tuple(programs), None if has_velocities else tuple(velocities), start
        )

    @property
    def frames_per_second(self) -> float:
        """The frame rate at the last tempo."""
        last = timing.last_tempo(self.midi)
        tempo = self.tempo or last
        return self.form.rate * (tempo / 60 if self.form.beats else tempo / last)

    @property
    def start_seconds(self) -> float:
        """The time at which the notes of the roll begin."""
        return float(self.midi.seconds_at(self._ticks(self.start)))

    def num_frames(self, seconds: float) -> int:
        """Returns the number of frames, at least 1, in a number of seconds after `start`."""
        return max(1, round(seconds * self.frames_per_second))

    def on_bar_line(self, frames: np.ndarray) -> np.ndarray:
        """Returns whether each frame begins a bar, bool; never if frames are counted per second."""
        return self.form.beats & timing.on_bar_line(self.midi, self._ticks(frames))

    def to_midi(self, frames: np.ndarray) -> MidiFile:
        """Returns a roll as a piece, with times in ticks.

        A key that is held from the frame before `start` on holds its note of the beginning.
        """
        notes = roll.transpose(to_notes_in_frames(frames, self.form), self.transpose)
        keyboards = self.form.keyboards(notes.program)
        starts, ends = self._ticks(notes.start), self._ticks(notes.end)
        notes = notes._replace(
            start=starts,
            end=np.maximum(ends, starts + 1),
            program=np.array(self.programs, np.int32)[keyboards],
            length=float(self._ticks(notes.length)),
        )
        if self.velocities:
            notes = notes._replace(velocity=np.array(self.velocities, np.int32)[keyboards])
        at = float(self._ticks(self.start))
        before, is_held = self._hold(notes, keyboards, at)
        is_new = (notes.end > at) & ~is_held
        after = notes._replace(start=np.maximum(notes.start, at)).select(is_new)
        midi = timing.set_tempo(self.midi, at, self.tempo) if self.tempo else self.midi
        return midi._replace(notes=_join(before, after))

    def to_bytes(self, frames: np.ndarray) -> bytes:
        """Returns a roll as the bytes of a MIDI file."""
        return midi_writer.to_bytes(self.to_midi(frames))

    def to_notes(self, frames: np.ndarray) -> Notes:
        """Returns a roll as notes, with times in seconds."""
        midi = self.to_midi(frames)
        return midi.with_times(midi.seconds_at)

    def _ticks(self, frames: np.ndarray | float) -> np.ndarray:
        return timing.ticks_of_frames(self.midi, self.form, frames)

    def _hold(self, notes: Notes, keyboards: np.ndarray, at: float) -> tuple[Notes, np.ndarray]:
        """Holds notes of the beginning as long as the roll does.

        Returns:
          The notes of the beginning, and which notes of the roll they are, bool [N].
        """
        before = self.midi.notes
        ends, played = before.end.copy(), self.form.keyboards(before.program)
        is_held = np.zeros(len(notes.start), bool)
        for index in np.flatnonzero((notes.start < at) & (notes.end > at)):
            same = (played == keyboards[index]) & (before.pitch == notes.pitch[index])
            latest = np.flatnonzero(same)[-1:]
            ends[latest] = notes.end[index]
            is_held[index] = len(latest)
        return before._replace(end=ends), is_held


def _back(midi: MidiFile, form: RollFormat) -> int:
    """Returns the semitones from the key of a piece's roll back to its own."""
    return -roll.shift(timing.in_unit_of(form, midi), form)


def _join(before: Notes, after: Notes) -> Notes:
    """Returns all notes, sorted by start and pitch, with the length of those after."""
    columns = [np.concatenate(pair) for pair in zip(before[:-1], after[:-1], strict=True)]
    order = np.lexsort((columns[2], columns[0]))
    return Notes._make([*(column[order] for column in columns), after.length])
