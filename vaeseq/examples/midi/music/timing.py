"""Where the frames of a roll lie in a MIDI file, which has its own beats and tempos."""

import math

import numpy as np

from vaeseq.examples.midi.music import midi_writer
from vaeseq.examples.midi.music.midi_file import MidiFile, Notes
from vaeseq.examples.midi.music.roll import TEMPOS, RollFormat, nearest_frames, num_frames

_BAR = 4.0  # beats, without a time signature
_LEAST_TICKS = 480  # per beat
_TICKS_PER_FRAME = 4  # at least, if possible


def in_unit_of(form: RollFormat, midi: MidiFile) -> Notes:
    """Returns the notes with times in the unit of a roll format.

    Raises:
      Refused: if the file has no beats or is too long.
    """
    return midi.in_beats() if form.beats else midi.in_seconds()


def ticks_of_frames(midi: MidiFile, form: RollFormat, frames: np.ndarray | float) -> np.ndarray:
    """Returns the ticks, rounded, at which frames begin."""
    time = np.asarray(frames) / form.rate
    return np.rint(time * beat_ticks(midi) if form.beats else midi.ticks_at(time))


def frames_of_seconds(midi: MidiFile, form: RollFormat, seconds: float) -> int:
    """Returns how many frames the first seconds of a piece have, by its own tempos."""
    beats = float(midi.ticks_at(np.array(seconds))) / beat_ticks(midi)
    return round((beats if form.beats else seconds) * form.rate)


def beat_ticks(midi: MidiFile) -> int:
    """Returns the ticks per beat. If a file counts time codes, its beats are seconds."""
    return midi.ticks_per_beat or round(1 / midi.tempos[0])


def last_tempo(midi: MidiFile) -> float:
    """Returns the last tempo in beats per minute, within the limits of `TEMPOS`."""
    return float(np.clip(60 / (midi.tempos[-1] * beat_ticks(midi)), *TEMPOS))


def bar_beats(midi: MidiFile) -> float:
    """Returns the length of the last bar in beats."""
    return midi.time_signatures[-1].bar if midi.time_signatures else _BAR


def on_bar_line(midi: MidiFile, ticks: np.ndarray) -> np.ndarray:
    """Returns whether ticks after the last time signature begin a bar."""
    origin = midi.time_signatures[-1].tick if midi.time_signatures else 0
    return (ticks - origin) % (bar_beats(midi) * beat_ticks(midi)) == 0


def refine(midi: MidiFile, form: RollFormat) -> MidiFile:
    """Returns the same piece with so many ticks per beat that frames differ by some."""
    beat = beat_ticks(midi)
    frames = form.rate * (1 if form.beats else 60 / last_tempo(midi))  # per beat
    wanted = math.ceil(max(_LEAST_TICKS, _TICKS_PER_FRAME * frames) / beat)
    factor = max(1, min(wanted, midi_writer.MAX_TICKS_PER_BEAT // beat))
    return midi._replace(
        notes=midi.with_times(lambda ticks: factor * ticks),
        tempo_ticks=factor * midi.tempo_ticks,
        tempos=midi.tempos / factor,
        ticks_per_beat=factor * beat,
        time_signatures=tuple(x._replace(tick=factor * x.tick) for x in midi.time_signatures),
        key_signatures=tuple(x._replace(tick=factor * x.tick) for x in midi.key_signatures),
    )


def first_frames(midi: MidiFile, form: RollFormat, frames: int) -> MidiFile:
    """Returns the part of a piece that the first frames of its roll show.

    Notes that the roll cuts end with it; all others stay as they are. What follows has the mean
    tempo of the last bar.
    """
    at = float(ticks_of_frames(midi, form, frames))
    times = in_unit_of(form, midi)
    notes = midi.notes._replace(length=at)
    if frames < num_frames(times, form):
        ends = np.where(nearest_frames(times.end, form) > frames, at, notes.end)
        notes = notes._replace(end=np.maximum(ends, notes.start + 1))
        notes = notes.select(nearest_frames(times.start, form) < frames)
    return set_tempo(
        midi._replace(
            notes=notes,
            time_signatures=tuple(x for x in midi.time_signatures if x.tick < max(at, 1)),
            key_signatures=tuple(x for x in midi.key_signatures if x.tick < max(at, 1)),
        ),
        at,
        _tempo_before(midi, at),
    )


def _tempo_before(midi: MidiFile, at: float) -> float:
    """Returns the mean tempo over the bar before a tick, in beats per minute."""
    begin = max(0.0, at - bar_beats(midi) * beat_ticks(midi))
    first, last = midi.seconds_at(np.array([begin, at]))
    if first == last:  # at the beginning
        last = first + beat_ticks(midi) * midi.tempos[0]
        at = begin + beat_ticks(midi)
    return float(np.clip(60 * (at - begin) / beat_ticks(midi) / (last - first), *TEMPOS))


def set_tempo(midi: MidiFile, at: float, tempo: float) -> MidiFile:
    """Returns a piece that has one tempo, in beats per minute, from a tick on."""
    before = midi.tempo_ticks < at
    return midi._replace(
        tempo_ticks=np.append(midi.tempo_ticks[before], at),
        tempos=np.append(midi.tempos[before], 60 / tempo / beat_ticks(midi)),
    )
