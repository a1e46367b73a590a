"""Corpora of piano rolls: made from pieces, stored in a training run, and cut into batches."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypedDict

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.examples.midi.collect import Piece
from vaeseq.examples.midi.hparams import RATES, MidiHParams
from vaeseq.examples.midi.music import roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import KEYS, TEMPOS, RollFormat
from vaeseq.model.scoring import Span
from vaeseq.training import array_file, files, memory
from vaeseq.training.array_file import ArrayFile

_FOREIGN = "vaeseq did not write it"
_MAX_KEYBOARDS = 15  # a MIDI file has 16 channels, one of them for drums


class Frames(Protocol):
    """Frames, uint8 [N, keys], in memory or in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


class Corpus(NamedTuple):
    """The rolls of pieces one after another, and the span of each piece."""

    frames: Frames
    spans: Sequence[Span]

    @property
    def num_frames(self) -> int:
        """The number of frames in all spans."""
        return sum(end - begin for begin, end in self.spans)

    def head(self, num_frames: int) -> "Corpus":
        """Returns the first pieces with at most `num_frames` frames in total, but at least one."""
        ends = np.cumsum([end - begin for begin, end in self.spans])
        count = int(np.searchsorted(ends, num_frames, side="right"))
        return self._replace(spans=self.spans[: max(1, count)])


class StoredPiece(TypedDict):
    """The entry of a piece in the index of a corpus."""

    name: str
    frames: int


def hold_out(pieces: Sequence[Piece], seed: int) -> tuple[list[Piece], list[Piece]]:
    """Splits pieces at random: a tenth, at least one, for validation; the others for training.

    Returns:
      The training pieces and the validation pieces.

    Raises:
      UsageError: if there are fewer than two pieces.
    """
    if len(pieces) < 2:
        raise UsageError(
            "--train-files: needs at least two pieces, because one is held out for validation; "
            "add files, or give --valid-files"
        )
    order = np.random.default_rng(seed).permutation(len(pieces))
    held_out = set(order[: max(1, round(len(pieces) / 10))].tolist())
    return (
        [piece for index, piece in enumerate(pieces) if index not in held_out],
        [piece for index, piece in enumerate(pieces) if index in held_out],
    )


def choose_format(
    pieces: Sequence[Piece], hparams: MidiHParams, frames_per_beat: float | None, apart: bool
) -> RollFormat:
    """Returns the roll format for these pieces, with their instruments and median tempo."""
    tempos = [piece.tempo for piece in pieces]
    counts: Counter[int] = Counter()
    for piece in pieces:
        counts.update(piece.notes.program.tolist())
    pitched = [program for program, _ in counts.most_common() if program != DRUMS]
    by_family: dict[int, int] = {}
    for program in pitched:
        by_family.setdefault(roll.family(program), program)
    programs = list(by_family.values())[:_MAX_KEYBOARDS] if apart else pitched[:1]
    return RollFormat(
        rate=frames_per_beat or hparams.rate,
        beats=frames_per_beat is not None,
        tempo=round(float(np.clip(np.median(tempos), *TEMPOS)), 3),
        velocity_levels=hparams.velocity_levels,
        programs=(*sorted(programs), *[DRUMS] * (DRUMS in counts)),
        apart=apart,
        common_key=hparams.common_key,
    )


def write_rolls(pieces: Iterable[Piece], form: RollFormat, path: Path) -> list[StoredPiece]:
    """Writes the rolls of pieces to a file, one after another; returns the entries of the index."""
    stored: list[StoredPiece] = []

    def rolls() -> Iterator[np.ndarray]:
        for piece in pieces:
            frames = roll.to_roll(piece.notes, form)
            stored.append({"name": piece.name, "frames": len(frames)})
            yield frames

    array_file.write(path, rolls(), form.num_states)
    return stored


def index_json(
    form: RollFormat,
    train: Sequence[StoredPiece],
    valid: Sequence[StoredPiece],
    refused: Mapping[str, str],
) -> str:
    """Returns the index of a run's corpus as JSON; `load_corpora` parses it."""
    content = {"format": dataclasses.asdict(form), "train": train, "valid": valid}
    return json.dumps(content | {"refused": refused}, indent=1)


def load_corpora(
    text: str, where: str, find_file: Callable[[str], Path]
) -> tuple[RollFormat, Corpus, Corpus]:
    """Opens the corpora of a run.

    Args:
      text: the index; see `index_json`.
      where: the path of the index, for error messages.
      find_file: returns the path of a file of the run; see `rolls_name`.

    Returns:
      The roll format, the training corpus and the validation corpus.

    Raises:
      UsageError: if the index is invalid, or does not agree with the files.
    """
    content = files.parse_json(text, _SCHEMA, where)
    form = RollFormat(**content["format"] | {"programs": tuple(content["format"]["programs"])})

    def open_corpus(part: str) -> Corpus:
        longest = max(piece["frames"] for piece in content[part])
        memory.require(longest * form.num_keys, f"--log-dir: a piece in {where}", _FOREIGN)
        frames = ArrayFile(find_file(rolls_name(part)), form.num_states, (form.num_keys,))
        corpus = Corpus(frames, consecutive_spans(piece["frames"] for piece in content[part]))
        if corpus.num_frames != len(frames):
            raise UsageError(
                f"--log-dir: {frames.path} has {len(frames)} frames, "
                f"but {where} says {corpus.num_frames}"
            )
        return corpus

    return form, open_corpus("train"), open_corpus("valid")


def rolls_name(part: str) -> str:
    """Returns the name of the file with the rolls of a part of the corpus, "train" or "valid"."""
    return f"corpus/{part}.rolls"


def consecutive_spans(lengths: Iterable[int]) -> list[Span]:
    """Returns the spans of sequences of these lengths that follow one another."""
    ends = np.cumsum(list(lengths)).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


_PIECES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "frames": {"type": "integer", "minimum": 1, "maximum": roll.MAX_FRAMES},
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
                "rate": {"type": "number", "minimum": RATES[0], "maximum": RATES[1]},
                "beats": {"type": "boolean"},
                "tempo": {"type": "number", "minimum": TEMPOS[0], "maximum": TEMPOS[1]},
                "velocity_levels": {"type": "integer", "minimum": 0, "maximum": 127},
                "programs": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": DRUMS},
                    "minItems": 1,
                    "maxItems": _MAX_KEYBOARDS + 1,
                    "uniqueItems": True,
                },
                "apart": {"type": "boolean"},
                "common_key": {"type": "boolean"},  # not in runs of version 0.1
            },
            "required": ["rate", "beats", "tempo", "velocity_levels", "programs", "apart"],
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
    """Returns transposed windows at random positions: a function of (seed, step).

    A window lies in one piece. The start and the end of a piece are in as many windows as its
    middle.

    Args:
      corpus: the pieces.
      step: the training step.
      hparams: the hyperparameters.
      pitched: which keys are transposed, i.e. are not drums, bool [keys].

    Returns:
      Rolls, uint8 [B, T, keys], with zeros after the end of a window, and lengths, int32 [B].
    """
    rng = np.random.default_rng((hparams.seed, step))
    width = hparams.sequence_size
    rolls = np.zeros([hparams.batch_size, width, len(pitched)], np.uint8)
    lengths = np.zeros([hparams.batch_size], np.int32)
    starts = np.cumsum([0, *(end - begin + width - 1 for begin, end in corpus.spans)])
    for row, at in enumerate(rng.integers(starts[-1], size=len(rolls))):
        piece = np.searchsorted(starts, at, side="right") - 1
        begin, end = corpus.spans[piece]
        size = _window_size(rng, hparams)
        place = (at - starts[piece]) * (end - begin + size - 1) // (end - begin + width - 1)
        start = int(np.clip(begin + place - size + 1, begin, max(begin, end - size)))
        start -= (start - begin) % hparams.window_step
        window = corpus.frames[start : min(start + size, end)]
        lengths[row] = len(window)
        rolls[row, : len(window)] = _transpose(window, rng, hparams.transpose, pitched)
    return rolls, lengths


def _window_size(rng: np.random.Generator, hparams: MidiHParams) -> int:
    """Returns the number of frames of a window, at random if `hparams.shortest_window` says so."""
    most, step = hparams.sequence_size, hparams.window_step
    if not hparams.shortest_window:
        return most
    size = int(rng.integers(min(hparams.shortest_window, most), most + 1))
    return min(-(-size // step) * step, most)


def _transpose(
    window: np.ndarray, rng: np.random.Generator, limit: int, pitched: np.ndarray
) -> np.ndarray:
    """Moves a window up or down by at most `limit` semitones, such that no note is lost."""
    keyboards = window[:, pitched].reshape(len(window), -1, KEYS)
    used = np.flatnonzero(keyboards.any(axis=(0, 1)))
    if not limit or not len(used):
        return window
    interval = rng.integers(-min(limit, used[0]), min(limit, KEYS - 1 - used[-1]) + 1)
    moved = window.copy()
    moved[:, pitched] = np.roll(keyboards, interval, axis=2).reshape(len(window), -1)
    return moved
