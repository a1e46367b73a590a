"""Files that are written completely or not at all, and that links cannot move out of a folder."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias

import jsonschema

from vaeseq.errors import UsageError

_UNFINISHED = ".unfinished"
MAX_BYTES = 1 << 26
"""The largest text file that is read, 64 MB."""

Schema: TypeAlias = Mapping[str, object]
"""A JSON Schema (2020-12)."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that gets its name only when it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    unfinished.unlink(missing_ok=True)
    try:
        with open(unfinished, "xb") as file:  # x: do not follow a link that somebody left there
            yield file
            sync(file)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # frees the space if the disk is full
        raise


def sync(file: IO[Any]) -> None:
    """Waits until everything written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Waits until the names in a folder are on the disk, on systems that support it."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes the incomplete files of a process that was killed.

    Raises:
      UsageError: if a folder has the name of such a file and would be in the way of a later one.
    """
    for path in folder.glob(f"**/*{_UNFINISHED}"):
        if path.is_dir() and not path.is_symlink():
            raise UsageError(f"--log-dir: {path} is a folder; remove it, or give it another name")
        path.unlink(missing_ok=True)


def resolve_within(folder: Path, name: str) -> Path:
    """Returns the path of a file or folder inside `folder`, which need not exist yet.

    Raises:
      UsageError: if a link leads out of the folder, or the path is a pipe or a device.
    """
    path = folder / name
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UsageError(f"cannot read {path}: {error}") from error
    if not within:
        raise UsageError(f"{path} leads out of {folder}: such links are not followed")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path} is neither a file nor a folder")  # a pipe would block
    return path


def read_text(folder: Path, name: str, errors: str = "strict", max_bytes: int = MAX_BYTES) -> str:
    """Returns the UTF-8 text of a file inside `folder`.

    Raises:
      UsageError: if it cannot be read, is not UTF-8 or is too large; see also `resolve_within`.
    """
    path = resolve_within(folder, name)
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise UsageError(f"{path} has more than {max_bytes} bytes")
        return data.decode("utf-8", errors)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def read_json(folder: Path, name: str, schema: Schema) -> Any:
    """Returns the content of a JSON file inside `folder`; see `read_text` and `parse_json`."""
    return parse_json(read_text(folder, name), schema, str(folder / name))


def parse_json(text: str, schema: Schema, where: str) -> Any:
    """Parses a JSON text and checks it against a schema.

    Args:
      text: the text.
      schema: the schema.
      where: the name of the text, for messages.

    Raises:
      UsageError: if the text is not JSON, or does not match the schema.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {where}: not JSON: {error}") from error
    for flaw in jsonschema.Draft202012Validator(schema).iter_errors(value):
        raise UsageError(f"cannot read {where}: {flaw.json_path}: {flaw.message[:200]}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


class Folder:
    """A directory whose errors name the flag that chose it."""

    def __init__(self, path: str | os.PathLike[str], flag: str = "--log-dir"):
        self.path, self._flag = Path(path), flag

    def file(self, name: str) -> Path:
        """Returns the path of a file inside the directory.

        Raises:
          UsageError: if a link leads out of the directory.
        """
        with self._naming_the_flag():
            return resolve_within(self.path, name)

    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file completely or not at all; text is encoded as UTF-8."""
        with atomic_write(self.file(name)) as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)

    def read(self, name: str, errors: str = "strict") -> str:
        """Returns the content of a text file; see `read_text`."""
        with self._naming_the_flag():
            return read_text(self.path, name, errors)

    def read_json(self, name: str, schema: Schema) -> Any:
        """Returns the content of a JSON file; see `read_json`."""
        with self._naming_the_flag():
            return read_json(self.path, name, schema)

    @contextlib.contextmanager
    def _naming_the_flag(self) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self._flag}: {error}") from error
