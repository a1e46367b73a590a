"""Pieces of music as a corpus of piano rolls."""

import dataclasses
import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from vaeseq.errors import UsageError
from vaeseq.examples.midi.hparams import MOST_FRAMES, MidiHParams
from vaeseq.examples.midi.music import chorales, midi_file, roll
from vaeseq.examples.midi.music.midi_file import DRUMS, MOST_BYTES, Notes, Refused
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.model.scoring import Span
from vaeseq.training import array_file, files
from vaeseq.training.array_file import ArrayFile

_SUFFIXES = (".mid", ".midi")
_TEMPOS = (10.0, 1000.0)  # the slowest and the fastest that are written
_MOST_KEYBOARDS = 15  # a MIDI file has 16 channels, one of them for drums


class Piece(NamedTuple):
    """A piece, its times in the unit of the corpus, and its mean tempo in beats a minute."""

    name: str
    notes: Notes
    tempo: float


class Collection(NamedTuple):
    """What was found: the pieces, each once, and why the other files are none."""

    pieces: list[Piece]
    refused: dict[str, str]


class Corpus(NamedTuple):
    """Rolls one after another, frames [N, keys], and where each piece begins and ends."""

    frames: Any
    spans: Sequence[Span]


def find(patterns: Iterable[str], flag: str) -> list[Path]:
    """The MIDI files of files, folders and globs; UsageError where one of these finds none."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        if os.path.isfile(pattern):
            paths = [Path(pattern)]
        elif os.path.isdir(pattern):
            paths = [x for x in Path(pattern).rglob("*") if x.suffix.lower() in _SUFFIXES]
            paths = [path for path in paths if path.is_file()]
        else:
            paths = [Path(x) for x in glob.glob(pattern, recursive=True) if os.path.isfile(x)]
        if not paths:
            raise UsageError(f"{flag}: there is no MIDI file {pattern}, nor any in it")
        found |= dict.fromkeys(sorted(paths))
    return list(found)


def collect(paths: Sequence[Path], beats: bool, drums: bool, progress: bool = True) -> Collection:
    """Reads files. Those that are equal, note for note, are one piece."""

    def pieces() -> Iterator[Piece | tuple[str, str]]:
        for path in paths:
            try:
                yield _read(path, beats, drums)
            except Refused as error:
                yield str(path), str(error)
            except OSError as error:
                yield str(path), f"cannot be read: {error.strerror}"

    return _collected(pieces(), len(paths), progress)


def embedded_chorales(beats: bool) -> Collection:
    """The chorales of Bach that the package `music21` brings."""
    paths = chorales.find()
    if not paths:
        raise UsageError(
            "--train-files is not given and the embedded chorales are not installed: "
            "give MIDI files, or pip install 'vaeseq[demo]'"
        )
    unit = 1.0 if beats else 60 / chorales.TEMPO

    def pieces() -> Iterator[Piece]:
        for path, notes in zip(paths, chorales.read_all(paths), strict=True):
            start, end, *others, length = notes
            scaled = Notes._make([start * unit, end * unit, *others, length * unit])
            yield Piece(path.name, scaled, chorales.TEMPO)

    return _collected(pieces(), len(paths), progress=True)


def _collected(pieces: Iterable[Piece | tuple[str, str]], total: int, progress: bool) -> Collection:
    collection, seen = Collection([], {}), set()
    for piece in tqdm(pieces, "reading", total, unit="piece", disable=not progress, leave=False):
        if isinstance(piece, Piece):
            content = b"".join(np.asarray(part).tobytes() for part in piece.notes)
            if content not in seen:
                seen.add(content)
                collection.pieces.append(piece)
        else:
            name, reason = piece
            collection.refused[name] = reason
    return collection


def _read(path: Path, beats: bool, drums: bool) -> Piece:
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    midi = midi_file.read(data)
    seconds = midi.in_seconds()
    notes = midi.in_beats() if beats else seconds
    if not drums:
        notes = notes.select(notes.program != DRUMS)
    if not len(notes.start):
        raise Refused("has no notes" + ("" if drums else " but those of drums"))
    return Piece(str(path), notes, midi.tempo)


def hold_out(pieces: Sequence[Piece], seed: int) -> tuple[list[Piece], list[Piece]]:
    """A tenth of the pieces, at least one, by chance for validation; the others for training."""
    if len(pieces) < 2:
        raise UsageError(
            "--train-files: one piece cannot be both trained on and held out; "
            "add others, or give --valid-files"
        )
    order = np.random.default_rng(seed).permutation(len(pieces))
    held = set(order[: max(1, round(len(pieces) / 10))].tolist())
    return (
        [piece for index, piece in enumerate(pieces) if index not in held],
        [piece for index, piece in enumerate(pieces) if index in held],
    )


def choose_format(
    pieces: Sequence[Piece], hparams: MidiHParams, frames_per_beat: float | None, apart: bool
) -> RollFormat:
    """The format of rolls for these pieces: their instruments and their tempo."""
    tempos = [piece.tempo for piece in pieces]
    counts: Counter[int] = Counter()
    for piece in pieces:
        counts.update(piece.notes.program.tolist())
    pitched = [program for program, _ in counts.most_common() if program != DRUMS]
    by_family: dict[int, int] = {}
    for program in pitched:
        by_family.setdefault(roll.family(program), program)
    programs = list(by_family.values())[:_MOST_KEYBOARDS] if apart else pitched[:1]
    return RollFormat(
        rate=frames_per_beat or hparams.rate,
        beats=frames_per_beat is not None,
        tempo=round(float(np.clip(np.median(tempos), *_TEMPOS)), 3),
        velocity_levels=hparams.velocity_levels,
        programs=(*sorted(programs), *[DRUMS] * (DRUMS in counts)),
        apart=apart,
    )


def fitting(pieces: Iterable[Piece], form: RollFormat) -> Collection:
    """The pieces whose rolls are not too large, and why others are refused."""
    collection = Collection([], {})
    for piece in pieces:
        try:
            roll.num_frames(piece.notes, form)
            collection.pieces.append(piece)
        except Refused as error:
            collection.refused[piece.name] = str(error)
    return collection


def write(pieces: Sequence[Piece], form: RollFormat, path: Path) -> list[dict[str, Any]]:
    """Writes the rolls of pieces one after another.

    Returns:
      The name and the number of frames of each.
    """
    written: list[dict[str, Any]] = []

    def rolls() -> Iterator[np.ndarray]:
        for piece in pieces:
            frames = roll.to_roll(piece.notes, form)
            written.append({"name": piece.name, "frames": len(frames)})
            yield frames

    array_file.write(path, rolls(), form.num_states)
    return written


def describe(
    form: RollFormat, train: list[dict[str, Any]], valid: list[dict[str, Any]], refused: dict
) -> str:
    """What a run knows of its corpus, as JSON that `load` reads."""
    content = {"format": dataclasses.asdict(form), "train": train, "valid": valid}
    return json.dumps(content | {"refused": refused}, indent=1)


def load(text: str, where: str, file: Callable[[str], Path]) -> tuple[RollFormat, Corpus, Corpus]:
    """The format, and the training and validation pieces; `file` finds the parts of a run."""
    content = files.parse_json(text, _SCHEMA, where)
    form = RollFormat(**content["format"] | {"programs": tuple(content["format"]["programs"])})

    def corpus(name: str) -> Corpus:
        frames = ArrayFile(file(rolls_name(name)), form.num_states, (form.num_keys,))
        corpus = Corpus(frames, spans([piece["frames"] for piece in content[name]]))
        if corpus.spans[-1][1] != len(frames):
            raise UsageError(f"--log-dir: {frames.path} is not as long as {where} says")
        return corpus

    return form, corpus("train"), corpus("valid")


def rolls_name(part: str) -> str:
    """The file of the rolls of a part of the corpus in a run."""
    return f"corpus/{part}.rolls"


def spans(lengths: Iterable[int]) -> list[Span]:
    """Where sequences of these lengths begin and end, one after another."""
    ends = np.cumsum(list(lengths)).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


_PIECES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "frames": {"type": "integer", "minimum": 1, "maximum": 1 << 40},
        },
        "required": ["name", "frames"],
        "additionalProperties": False,
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "format": {
            "type": "object",
            "properties": {
                "rate": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_FRAMES},
                "beats": {"type": "boolean"},
                "tempo": {"type": "number", "minimum": _TEMPOS[0], "maximum": _TEMPOS[1]},
                "velocity_levels": {"type": "integer", "minimum": 0, "maximum": 127},
                "programs": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": DRUMS},
                    "minItems": 1,
                    "maxItems": _MOST_KEYBOARDS + 1,
                    "uniqueItems": True,
                },
                "apart": {"type": "boolean"},
            },
            "required": [field.name for field in dataclasses.fields(RollFormat)],
            "additionalProperties": False,
        },
        "train": _PIECES,
        "valid": _PIECES,
        "refused": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["format", "train", "valid", "refused"],
    "additionalProperties": False,
}


def window_batch(
    corpus: Corpus, step: int, hparams: MidiHParams, pitched: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Windows at random places, moved by a random interval: a function of (seed, step).

    A window lies in one piece, whose beginning and end it meets as often as what is between.

    Args:
      corpus: the pieces.
      step: of the training.
      hparams: the hyperparameters.
      pitched: which keys of a frame move, all those but of drums: bool [keys].

    Returns:
      Rolls, uint8 [B, T, keys], zeros after the end of a piece, and the lengths, int32 [B].
    """
    rng = np.random.default_rng((hparams.seed, step))
    width = hparams.sequence_size
    rolls = np.zeros([hparams.batch_size, width, len(pitched)], np.uint8)
    lengths = np.zeros([hparams.batch_size], np.int32)
    starts = np.cumsum([0, *(end - begin + width - 1 for begin, end in corpus.spans)])
    for row, at in enumerate(rng.integers(starts[-1], size=len(rolls))):
        piece = np.searchsorted(starts, at, side="right") - 1
        begin, end = corpus.spans[piece]
        start = int(np.clip(begin + at - starts[piece] - width + 1, begin, max(begin, end - width)))
        window = corpus.frames[start : min(start + width, end)]
        lengths[row] = len(window)
        rolls[row, : len(window)] = _transposed(window, rng, hparams.transpose, pitched)
    return rolls, lengths


def _transposed(
    window: np.ndarray, rng: np.random.Generator, most: int, pitched: np.ndarray
) -> np.ndarray:
    """A window moved by up to `most` semitones, up or down, as far as no note leaves the keys."""
    keyboards = window[:, pitched].reshape(len(window), -1, KEYS)
    used = np.flatnonzero(keyboards.any(axis=(0, 1)))
    if not most or not len(used):
        return window
    interval = rng.integers(-min(most, used[0]), min(most, KEYS - 1 - used[-1]) + 1)
    moved = window.copy()
    moved[:, pitched] = np.roll(keyboards, interval, axis=2).reshape(len(window), -1)
    return moved
