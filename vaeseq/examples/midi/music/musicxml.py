"""Reads untrusted MusicXML scores: checked for their size first, then read with music21.

The format: W3C Music Notation Community Group, "MusicXML 4.0". Repeats are not expanded.

This module imports little, so that the processes that parse scores start quickly.
"""

import importlib.util
import io
import multiprocessing
import os
import re
import signal
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from vaeseq.examples.midi.music.midi_file import (
    KeySignature,
    MidiFile,
    Notes,
    Refused,
    TimeSignature,
)

SUFFIXES = (".musicxml", ".mxl", ".xml")

_TICKS = 10080  # per beat; divisible by all numbers up to 10
_TEMPO, _TEMPOS = 120.0, (4.0, 1000.0)  # beats per minute: the default, and those that are kept
_VELOCITY = 64  # where the score gives none

_MAX_BYTES = 64 << 20  # of the file and of the XML in it
_MAX_CONTAINER_BYTES = 1 << 16
_MAX_ELEMENTS = 1_000_000
_MAX_DEPTH = 100
_MAX_NOTES = 50_000  # music21 takes about a millisecond for each
_MAX_SECONDS = 600  # to parse a file, after another has ended the process that parsed it
_CONTAINER = "META-INF/container.xml"
_LIMITS = {  # of numbers that music21 counts up to
    **{"octave": 10, "octave-change": 10, "chromatic": 120, "staves": 16, "fifths": 12},
    **{"multiple-rest": 10_000, "actual-notes": 1000, "normal-notes": 1000},
    **{"beats": 255, "beat-type": 255, "divisions": 1e6, "duration": 1e9},
}
_MAX_NUMBER = 40  # characters


def is_score(path: Path) -> bool:
    """Returns whether a file has the suffix of a MusicXML file."""
    return path.suffix.lower() in SUFFIXES


def parse_files(paths: Sequence[Path]) -> Iterator[MidiFile | Refused | OSError]:
    """Yields what `parse_file` returns or raises for each file. Several files use all cores."""
    if len(paths) < 2:
        yield from map(_try_to_parse, paths)
        return
    # A fork would copy TensorFlow's threads in an undefined state.
    context = multiprocessing.get_context("spawn")
    parsed = 0
    with ProcessPoolExecutor(os.cpu_count(), context, _ignore_interrupts) as pool:
        try:
            for midi in pool.map(_try_to_parse, paths, chunksize=4):
                yield midi
                parsed += 1
        except BrokenProcessPool:  # one of the others takes too much memory
            yield from map(_try_to_parse_alone, paths[parsed:])
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leaves Ctrl-C to the parent process, which shuts the pool down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _try_to_parse(path: Path) -> MidiFile | Refused | OSError:
    try:
        return parse_file(path)
    except (Refused, OSError) as error:
        return error


def _try_to_parse_alone(path: Path) -> MidiFile | Refused | OSError:
    try:
        return parse_file_within(path, _MAX_SECONDS)
    except (Refused, OSError) as error:
        return error


def parse_file_within(path: Path, seconds: int) -> MidiFile:
    """Reads and parses a MusicXML file in a process of its own, which has limited processor time.

    Raises:
      OSError, Refused: as `parse_file`; also if it takes longer.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _limit_processor, (seconds,)) as pool:
        try:
            parsed = pool.submit(_try_to_parse, path).result()
        except BrokenProcessPool:
            raise Refused(
                f"takes more than {seconds} seconds to read, or too much memory"
            ) from None
    if isinstance(parsed, Exception):
        raise parsed
    return parsed


def _limit_processor(seconds: int) -> None:
    """Ends this process after a number of seconds of computing, where the system can do that."""
    _ignore_interrupts()
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def parse_file(path: Path) -> MidiFile:
    """Reads and parses a MusicXML file, compressed or not.

    Raises:
      OSError: if it cannot be read.
      Refused: if it is invalid or too large, or music21 is not installed or does not read it.
    """
    if importlib.util.find_spec("music21") is None:
        raise Refused("needs the package music21; pip install 'vaeseq[demo]'")
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise Refused(f"has more than {_MAX_BYTES} bytes")
    root = _parse_xml(_unpack(data) if data[:2] == b"PK" else data)
    _check_score(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _convert(root)
        except Refused:
            raise
        except Exception as error:  # music21 has many for invalid files
            reason = " ".join(str(error).split())[:200]
            message = f"cannot be read by music21: {type(error).__name__}: {reason}"
            raise Refused(message) from error


def _unpack(data: bytes) -> bytes:
    """Returns the score in a compressed file (.mxl), which names it in its container."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            name = next((x for x in names if _is_score_name(x)), None)
            if _CONTAINER in names:
                container = _parse_xml(_read_member(archive, _CONTAINER, _MAX_CONTAINER_BYTES))
                name = next((x.get("full-path", "") for x in container.iter("rootfile")), name)
            if name not in names:
                raise Refused("is a compressed file without a score")
            return _read_member(archive, name, _MAX_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise Refused(f"is not a valid compressed file: {error}") from error


def _is_score_name(name: str) -> bool:
    return not name.startswith("META-INF/") and name.endswith((".xml", ".musicxml"))


def _read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Decompresses a file in an archive, but not more than a limit."""
    if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("is compressed by a method that MusicXML does not use")
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"contains more than {limit} bytes of XML")
    return data


def _parse_xml(data: bytes) -> Element:
    """Parses XML without entities, files or addresses that it names.

    Raises:
      Refused: if it is invalid or too large, or declares entities.
    """
    tree, depth, count = TreeBuilder(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _MAX_DEPTH or count > _MAX_ELEMENTS:
            raise Refused(f"has more than {_MAX_ELEMENTS} elements, or {_MAX_DEPTH} nested ones")
        tree.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    def declare_entity(*_: object) -> None:
        raise Refused("declares entities, which may stand for more than the file contains")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = tree.data, declare_entity
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Refused(f"is not valid XML: {error}") from error
    return tree.close()


def _check_score(root: Element) -> None:
    """Checks that music21 can read a score in reasonable time."""
    if root.tag == "score-timewise":
        raise Refused("is a timewise score; save it as a partwise one")
    if root.tag != "score-partwise":
        raise Refused(f"is not a MusicXML score: its root element is {root.tag[:40]!r}")
    num_notes = 0
    for element in root.iter():
        num_notes += element.tag == "note"
        limit = _LIMITS.get(element.tag)
        if limit is not None and _largest(element.text or "") > limit:
            raise Refused(f"has {element.tag} = {str(element.text)[:20]!r}, above {limit}")
    if num_notes > _MAX_NOTES:
        raise Refused(f"has more than {_MAX_NOTES} notes")


def _largest(text: str) -> float:
    """Returns the largest number in a text such as "3+2" or "-1"; infinity in a long text."""
    if len(text) > _MAX_NUMBER:
        return float("inf")
    return max(map(float, re.findall(r"\d+(?:\.\d*)?(?:[eE]\d+)?", text)), default=0.0)


class _Columns:
    """What the parts of a score contain, with times in ticks."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, float, int, int, int]] = []
        self.tempos: dict[int, float] = {0: _TEMPO}
        self.time_signatures: dict[int, TimeSignature] = {}
        self.key_signatures: dict[int, KeySignature] = {}


def _convert(root: Element) -> MidiFile:
    """Converts a score with music21."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    importer = MusicXMLImporter()
    importer.xmlRootToScore(root, importer.stream)
    score = importer.stream
    if root.find(".//transpose") is not None:
        score.toSoundingPitch(inPlace=True)
    columns = _Columns()
    for part in score.parts:
        _collect_part(part, columns)
    _mark_upbeat(score, columns)
    length = _tick(score.highestTime)
    start, end, *others = np.array(sorted(columns.notes), np.float64).reshape(-1, 5).T
    if start.min(initial=0) < 0 or end.max(initial=0) > length:
        raise Refused("has notes outside its measures")
    notes = Notes._make([start, end, *(x.astype(np.int32) for x in others), length])
    ticks, tempos = np.array(sorted(columns.tempos.items()), np.float64).T
    return MidiFile(
        notes,
        ticks,
        60 / tempos / _TICKS,
        _TICKS,
        tuple(x for _, x in sorted(columns.time_signatures.items())),
        tuple(x for _, x in sorted(columns.key_signatures.items())),
    )


def _collect_part(part: Any, columns: _Columns) -> None:
    """Adds the notes, tempos and signatures of a part; tied notes are merged into one.

    Grace notes have no length and are left out. So are chord symbols, and notes of percussion
    without pitch, whose instruments music21 does not tell apart.
    """
    from music21 import harmony, instrument, key, meter, note, tempo

    program = 0
    tied: dict[int, list[float]] = {}
    found: list[list[float]] = []
    for element in part.flatten():
        tick = _tick(element.offset)
        match element:
            case instrument.Instrument(midiProgram=int(number)):
                program = min(max(number, 0), 127)
            case tempo.MetronomeMark():
                beats = element.getQuarterBPM()  # per minute
                if beats and _TEMPOS[0] <= beats <= _TEMPOS[1]:
                    columns.tempos[tick] = float(beats)
            case meter.TimeSignature(numerator=over, denominator=under):
                if 0 < over < 256 and under in (1, 2, 4, 8, 16, 32, 64):
                    columns.time_signatures[tick] = TimeSignature(tick, over, under)
            case key.KeySignature(sharps=sharps):
                if abs(sharps) <= 7:
                    is_minor = getattr(element, "mode", None) == "minor"
                    columns.key_signatures[tick] = KeySignature(tick, sharps, is_minor)
            case note.NotRest() if not isinstance(element, harmony.Harmony):
                end = _tick(element.offset + element.quarterLength)
                for single in getattr(element, "notes", [element]):
                    _collect_note(single, [tick, end], program, tied, found)
    columns.notes += [tuple(x) for x in found if x[1] > x[0]]  # type: ignore[misc]


def _collect_note(
    note: Any,
    times: list[int],
    program: int,
    tied: dict[int, list[float]],
    found: list[list[float]],
) -> None:
    """Adds a note of one pitch, or makes the one to which it is tied longer."""
    if not note.pitches:
        return
    pitch, kind = note.pitches[0].midi, note.tie.type if note.tie else ""
    column = tied.pop(pitch, None) if kind in ("stop", "continue") else None
    if column is None:
        velocity = note.volume.velocity or _VELOCITY
        column = [*times, pitch, min(max(velocity, 1), 127), program]
        found.append(column)
    column[1] = times[1]
    if kind in ("start", "continue"):
        tied[pitch] = column


def _mark_upbeat(score: Any, columns: _Columns) -> None:
    """Gives an incomplete first measure its own time signature, so that bars begin in time."""
    first = score.recurse().getElementsByClass("Measure").first()
    signature = columns.time_signatures.get(0)
    if signature is None or first is None or not first.paddingLeft:
        return
    length = signature.bar - float(first.paddingLeft)
    beats = length * signature.denominator / 4
    tick = _tick(length)
    if beats >= 1 and beats == int(beats) and tick not in columns.time_signatures:
        columns.time_signatures[0] = signature._replace(numerator=int(beats))
        columns.time_signatures[tick] = signature._replace(tick=tick)


def _tick(beats: Any) -> int:
    """Returns a time, which music21 gives as a fraction or a float, in ticks."""
    return round(float(beats) * _TICKS)
