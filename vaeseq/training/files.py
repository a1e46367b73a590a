"""Files that are whole on the disk or not there, and that do not lead out of their folder."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jsonschema

from vaeseq.errors import UsageError

_UNFINISHED = ".unfinished"
_MOST_BYTES = 1 << 26  # of a text that is read at once


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which appears under its name complete and on the disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    unfinished.unlink(missing_ok=True)
    try:
        with open(unfinished, "xb") as file:  # x: not through a link that somebody has left there
            yield file
            sync(file)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # a full disk has better use for it
        raise


def sync(file: Any) -> None:
    """What was written to an open file is on the disk after this."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """The same for the names in a folder, where the system knows of it."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes what a killed process did not finish writing."""
    for path in folder.glob(f"**/*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def resolve_within(folder: Path, name: str) -> Path:
    """The path of a file or folder in a folder, or of none yet.

    Raises:
      UsageError: where links lead out of the folder, or something else has the name.
    """
    path = folder / name
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UsageError(f"cannot read {path}: {error}") from error
    if not within:
        raise UsageError(f"{path} leads out of {folder}: a link there is not followed")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path} is neither a file nor a folder")  # a pipe would block
    return path


def read_text(folder: Path, name: str, errors: str = "strict") -> str:
    """The UTF-8 text in a file of a folder, at most 64 MB, or UsageError; see `resolve_within`."""
    path = resolve_within(folder, name)
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{path} has more than {_MOST_BYTES} bytes")
        return data.decode("utf-8", errors)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def read_json(folder: Path, name: str, schema: dict[str, Any]) -> Any:
    """The JSON in a file of a folder, as the schema wants it, or UsageError; see `read_text`."""
    return parse_json(read_text(folder, name), schema, str(folder / name))


def parse_json(text: str, schema: dict[str, Any], where: str) -> Any:
    """A JSON text as the schema (JSON Schema 2020-12) wants it.

    Raises:
      UsageError: saying what is wrong, and where in the text.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {where}: not JSON: {error}") from error
    for flaw in jsonschema.Draft202012Validator(schema).iter_errors(value):
        raise UsageError(f"cannot read {where}: {flaw.json_path}: {flaw.message[:200]}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
