"""Files: what a person gives to the studio, and what they take away."""

import dataclasses
import tempfile
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import abc_file, midi_file, musicxml, render
from vaeseq.examples.midi.music.midi_file import MidiFile, Notes, Refused
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import KEYS, TEMPOS, RollFormat
from vaeseq.examples.midi.studio.pieces import MAX_FRAMES
from vaeseq.examples.midi.tune import describe_use, to_tune

TYPES = {"mid": "audio/midi", "wav": "audio/wav", "png": "image/png"}
"""The MIME type of each kind of file that can be taken away."""

_MIDI_SUFFIXES = (".mid", ".midi")
_SCORE_SECONDS = 30  # of computing to read a score
_MAX_SOUND_SECONDS = 600
_MAX_PLOTTED = 20
_MAX_NAME = 80


class Upload(NamedTuple):
    """A piece that a person gave, and what was not used of it, in words.

    `tempo` is that at which the piece is as fast as its file. Where frames are counted per second,
    it is the tempo of the run, at which a frame lasts as long as it did in the file.
    """

    roll: np.ndarray
    tempo: float
    message: str


def read(body: bytes, name: str, model: MidiModel, form: RollFormat) -> Upload:
    """Reads a file that may be malicious.

    Args:
      body: its content.
      name: its name, percent-encoded.
      model: the model that will see it.
      form: the format of the model's rolls.

    Raises:
      Refused: if it cannot be used.
    """
    shown = Path(urllib.parse.unquote(name, errors="replace")).name[-_MAX_NAME:]
    suffix = Path(shown).suffix.lower()
    try:
        midi, not_used = _parse(body, suffix)
        tune = to_tune(shown, midi, form)
    except Refused as error:
        raise Refused(f"{shown or 'the file'} {error}") from error
    frames = min(len(tune.roll), MAX_FRAMES)
    if not tune.roll[:frames].any():
        raise Refused(f"{shown} has no notes in its first {frames} frames")
    told = [not_used, describe_use(tune, frames, model, form)]
    if tune.shift:
        told.append(f"transposed to C major or A minor, by {tune.shift:+d} semitones")
    if frames < len(tune.roll):
        told.append(f"used the first {frames} of {len(tune.roll)} frames")
    tempo = float(np.clip(tune.midi.tempo, *TEMPOS)) if form.beats else form.tempo
    return Upload(tune.roll[:frames], tempo, "; ".join(filter(None, told)))


def _parse(body: bytes, suffix: str) -> tuple[MidiFile, str]:
    """Returns the music of a file, and what is not used of it, in words."""
    if suffix in _MIDI_SUFFIXES:
        return midi_file.parse(body), ""
    if suffix in abc_file.SUFFIXES:
        midi, number = abc_file.first_tune(body)
        return midi, f"used the first of {number} tunes" if number > 1 else ""
    if suffix not in musicxml.SUFFIXES:
        known = ", ".join((*_MIDI_SUFFIXES, *musicxml.SUFFIXES, *abc_file.SUFFIXES))
        raise Refused(f"has none of the suffixes {known}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "score" + suffix)
        path.write_bytes(body)
        return musicxml.parse_file_within(path, _SCORE_SECONDS), ""


def write(
    kind: str,
    rolls: Sequence[np.ndarray],
    form: RollFormat,
    tempo: float | None = None,
    transpose: int = 0,
    program: int | None = None,
) -> bytes:
    """Returns pieces as a file: one after another, or in a picture one below the other.

    Args:
      kind: "mid", "wav" or "png".
      rolls: the pieces, uint8 [T, KEYS].
      form: their format.
      tempo: beats per minute; None is that of the run.
      transpose: semitones; what leaves the range of MIDI is left out.
      program: General MIDI program; None is that of the run.

    Raises:
      ValueError: if a sound would be too long.
    """
    performance = dataclasses.replace(
        Performance.of_run(form),
        tempo=tempo,
        programs=form.programs if program is None else (program,),
    )
    rolls = [_transpose(roll, transpose) for roll in rolls]
    if kind == "png":
        return _plot(rolls, performance)
    whole = np.concatenate(rolls)
    if kind == "mid":
        return performance.to_bytes(whole)
    seconds = len(whole) / performance.frames_per_second
    if seconds > _MAX_SOUND_SECONDS:
        raise ValueError(
            f"pieces: {seconds:.0f} seconds of sound are more than {_MAX_SOUND_SECONDS}; choose "
            "fewer pieces or a higher tempo"
        )
    return render.wav_bytes(render.synthesize(performance.to_notes(whole)))


def _transpose(roll: np.ndarray, semitones: int) -> np.ndarray:
    moved = np.zeros_like(roll)
    low, high = max(0, semitones), min(KEYS, KEYS + semitones)
    moved[:, low:high] = roll[:, low - semitones : high - semitones]
    return moved


def _plot(rolls: Sequence[np.ndarray], performance: Performance) -> bytes:
    plotted = np.linspace(0, len(rolls) - 1, min(len(rolls), _MAX_PLOTTED)).astype(int)
    music: list[Notes] = [performance.to_notes(rolls[index]) for index in plotted]
    return render.plot_notes(music, performance.programs)
