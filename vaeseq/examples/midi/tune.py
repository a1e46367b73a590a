"""A tune that the user gives to `generate`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from vaeseq.errors import UsageError
from vaeseq.examples.midi.collect import read_file
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import melody, roll, timing
from vaeseq.examples.midi.music.instruments import describe_programs
from vaeseq.examples.midi.music.midi_file import MidiFile, Refused
from vaeseq.examples.midi.music.roll import RollFormat


class Tune(NamedTuple):
    """A file as it is, its roll, and the semitones by which the roll was transposed."""

    path: str
    midi: MidiFile
    roll: np.ndarray
    shift: int


def load_tune(path: str, form: RollFormat, flag: str) -> Tune:
    """Reads a tune.

    Raises:
      UsageError: if the file cannot be used; the message names the flag.
    """
    try:
        return to_tune(path, read_file(Path(path)), form)
    except Refused as error:
        raise UsageError(f"{flag}: {path} {error}") from error
    except OSError as error:
        raise UsageError(f"{flag}: {path} cannot be read: {error.strerror}") from error


def to_tune(path: str, midi: MidiFile, form: RollFormat) -> Tune:
    """Returns a file that was read as a tune.

    Raises:
      Refused: if it is too long, or has no notes for the run's keyboards.
    """
    midi.in_seconds()  # refuses a piece that is too long
    notes = timing.in_unit_of(form, midi)
    roll.check_keyboards(notes, form)
    return Tune(path, midi, roll.to_roll(notes, form), roll.shift(notes, form))


def first_seconds(tune: Tune, form: RollFormat, seconds: float | None) -> np.ndarray:
    """Returns the frames, at least one, of the first seconds of a tune; all if None is given."""
    if seconds is None:
        return tune.roll
    return tune.roll[: max(1, timing.frames_of_seconds(tune.midi, form, seconds))]


def say_what_is_used(
    tune: Tune, flag: str, frames: int, model: MidiModel, form: RollFormat
) -> None:
    """Logs, in one line, if the model does not see all notes of the first frames of a tune."""
    used = describe_use(tune, frames, model, form)
    if used:
        logging.info("%s: %s", flag, used)


def describe_use(tune: Tune, frames: int, model: MidiModel, form: RollFormat) -> str:
    """Returns what the model sees of the first frames of a tune; "" if it sees all notes."""
    notes = timing.first_frames(tune.midi, form, frames).notes
    if model.hparams.decoder == "melody":
        symbols = np.asarray(model.observe(tune.roll[:frames], strike_first_frame=True))
        used, what = int(np.sum(symbols >= melody.FIRST)), "the highest voice"
    else:
        used = int(np.sum(form.keyboards(notes.program) >= 0))
        what = f"the instruments of the run's keyboards ({describe_programs(form.programs)})"
        if not form.apart:  # one keyboard for all of them
            what = "all but the drums"
    if used >= len(notes.start):
        return ""
    return f"used {what} of {tune.path}, {used} of {len(notes.start)} notes"
