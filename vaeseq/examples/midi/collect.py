"""Finds MIDI, MusicXML and ABC files, chorales and tunes, and parses them into pieces."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from vaeseq.errors import UsageError
from vaeseq.examples.midi.music import (
    abc_file,
    chorales,
    midi_file,
    musicxml,
    roll,
    tunes,
    upbeat,
)
from vaeseq.examples.midi.music.midi_file import DRUMS, MAX_BYTES, MidiFile, Notes, Refused
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.training.progress import bar

_SUFFIXES = (".mid", ".midi", *musicxml.SUFFIXES, *abc_file.SUFFIXES)
_REASONS_SHOWN = 3


class Piece(NamedTuple):
    """A piece, with times in beats or seconds, and its mean tempo in beats per minute."""

    name: str
    notes: Notes
    tempo: float


class Collection(NamedTuple):
    """The distinct pieces that were found, and the reason why each other file was refused."""

    pieces: list[Piece]
    refused: dict[str, str]


def collect(patterns: Sequence[str], flag: str, beats: bool, drums: bool) -> Collection:
    """Finds and parses the files that a flag names, and logs which are refused.

    Args:
      patterns: files, folders and glob patterns.
      flag: the flag, for error messages.
      beats: whether times are in beats; otherwise they are in seconds.
      drums: whether to keep drums.

    Raises:
      UsageError: if a pattern matches no file, or all files are refused.
    """
    return warn_refused(parse_files(find_files(patterns, flag), beats, drums), flag)


def find_files(patterns: Iterable[str], flag: str) -> list[Path]:
    """Returns the files of music that match files, folders and glob patterns, each once.

    Raises:
      UsageError: if a pattern matches no file.
    """
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
            raise UsageError(
                f"{flag}: no MIDI, MusicXML or ABC file matches {pattern}; "
                f"give a file, a folder with {', '.join(_SUFFIXES)} files, or a glob pattern"
            )
        found |= dict.fromkeys(sorted(paths))
    return list(found)


def parse_files(
    paths: Sequence[Path], beats: bool, drums: bool, progress: bool = True
) -> Collection:
    """Parses MIDI, MusicXML and ABC files. Each tune of an ABC file is a piece.

    Pieces with the same notes count once.
    """

    def pieces() -> Iterator[Piece | tuple[str, str]]:
        scores = musicxml.parse_files([path for path in paths if musicxml.is_score(path)])
        for path in paths:
            try:
                if abc_file.is_abc(path):
                    for tune in abc_file.parse_file(path):
                        yield to_piece(f"{path}: {tune.name}", tune.midi)
                else:
                    midi = next(scores) if musicxml.is_score(path) else read_file(path)
                    yield to_piece(str(path), midi)
            except Refused as error:
                yield str(path), str(error)
            except OSError as error:
                yield str(path), f"cannot be read: {error.strerror}"

    def to_piece(name: str, midi: MidiFile | Refused | OSError) -> Piece | tuple[str, str]:
        try:
            if isinstance(midi, Exception):
                raise midi
            return _to_piece(name, midi, beats, drums)
        except Refused as error:
            return name, str(error)

    return _collect_distinct(pieces(), len(paths), progress)


def embedded_chorales() -> Collection:
    """Returns the chorales of Bach that the package `music21` contains, with times in beats.

    Raises:
      UsageError: if music21 is not installed.
    """
    paths = _find_chorales()

    def pieces() -> Iterator[Piece]:
        for path, notes in zip(paths, chorales.parse_scores(paths), strict=True):
            yield Piece(path.name, notes, chorales.TEMPO)

    return _collect_distinct(pieces(), len(paths), progress=True)


def embedded_melodies() -> Collection:
    """Returns music of which to learn melodies, from the package `music21`, with times in beats.

    These are the chorales of Bach, whose highest voices are melodies, and the tunes in duple meter
    whose bars add up. All begin with their first full bar. Tunes that are the same in another key
    count once. A line of the log says how many there are.

    Raises:
      UsageError: if music21 is not installed.
    """
    scores = _find_chorales()

    def sung() -> Iterator[Piece]:
        for path, notes in zip(scores, chorales.parse_scores(scores, True), strict=True):
            yield Piece(path.name, notes, chorales.TEMPO)

    pieces, _ = _collect_distinct(sung(), len(scores), progress=True)
    left_out: Counter[str] = Counter()
    played, seen = list[Piece](), set[bytes]()
    for path in tunes.find_books():
        for tune in abc_file.parse_file(path):
            reason = _unfit(tune, seen)
            if reason:
                left_out[reason] += 1
            elif isinstance(tune.midi, MidiFile):
                notes = upbeat.skip(tune.midi)
                played.append(Piece(f"{path.name}: {tune.name}", notes, tune.midi.tempo))
    logging.info(
        "melodies: %d chorales and %d tunes; left out: %s",
        len(pieces),
        len(played),
        ", ".join(f"{number} {reason}" for reason, number in left_out.most_common()) or "none",
    )
    return Collection([*pieces, *played], {})


def _unfit(tune: abc_file.Tune, seen: set[bytes]) -> str:
    """Returns why a tune is left out; "" if it is not, and then adds it to those seen."""
    if isinstance(tune.midi, Refused):
        return "that cannot be read"
    if not tunes.is_duple(tune):
        return "in other meters"
    if not tunes.bars_add_up(tune):
        return "whose bars do not add up"
    start, end, pitch, *_ = upbeat.skip(tune.midi)
    content = b"".join(x.tobytes() for x in (start, end, pitch - pitch[:1]))
    if content in seen:
        return "that repeat another"
    seen.add(content)
    return ""


def _find_chorales() -> list[Path]:
    paths = chorales.find_scores()
    if not paths:
        raise UsageError(
            "--train-files: not given, and the default, the Bach chorales, is not installed; "
            "give MIDI files, or pip install 'vaeseq[demo]'"
        )
    return paths


def _collect_distinct(
    pieces: Iterable[Piece | tuple[str, str]], total: int, progress: bool
) -> Collection:
    """Collects pieces, each once, and refusals, which are pairs of a name and a reason."""
    collection, seen = Collection([], {}), set()
    for piece in bar(pieces, "parsing", total, unit="piece", disable=not progress, leave=False):
        if isinstance(piece, Piece):
            content = b"".join(np.asarray(part).tobytes() for part in piece.notes)
            if content not in seen:
                seen.add(content)
                collection.pieces.append(piece)
        else:
            name, reason = piece
            collection.refused[name] = reason
    return collection


def read_file(path: Path) -> MidiFile:
    """Reads and parses a MIDI or MusicXML file, or the first tune of an ABC file.

    Raises:
      OSError: if it cannot be read.
      Refused: if it cannot be used.
    """
    if musicxml.is_score(path):
        return musicxml.parse_file(path)
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if not abc_file.is_abc(path):
        return midi_file.parse(data)
    midi, number = abc_file.first_tune(data)
    if number > 1:
        logging.warning("%s has %d tunes; the first is used", path, number)
    return midi


def _to_piece(name: str, midi: MidiFile, beats: bool, drums: bool) -> Piece:
    seconds = midi.in_seconds()
    notes = midi.in_beats() if beats else seconds
    if not drums:
        notes = notes.select(notes.program != DRUMS)
    if not len(notes.start):
        raise Refused("has no notes" + ("" if drums else " except drums"))
    return Piece(name, notes, midi.tempo)


def select_fitting(pieces: Iterable[Piece], form: RollFormat) -> Collection:
    """Refuses the pieces whose rolls would be too large, or empty, in this format."""
    collection, left_out = Collection([], {}), 0
    for piece in pieces:
        try:
            left_out += len(piece.notes.start) - roll.check_keyboards(piece.notes, form)
            roll.num_frames(piece.notes, form)
            collection.pieces.append(piece)
        except Refused as error:
            collection.refused[piece.name] = str(error)
    if left_out:
        logging.warning("left out: %d notes of instruments without a keyboard", left_out)
    return collection


def warn_refused(collection: Collection, flag: str) -> Collection:
    """Logs a warning for each refused file; returns the collection.

    Raises:
      UsageError: if no piece is left.
    """
    for name, reason in collection.refused.items():
        logging.warning("skipped: %s %s", name, reason)
    if not collection.pieces:
        refused = list(collection.refused.items())
        reasons = "; ".join(f"{name} {reason}" for name, reason in refused[:_REASONS_SHOWN])
        more = len(refused) - _REASONS_SHOWN
        raise UsageError(
            f"{flag}: all pieces were refused: {reasons}" + (f"; {more} more" if more > 0 else "")
        )
    return collection
