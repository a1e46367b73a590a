"""The folder of `generate`, where the files of a call replace those of an earlier call.

A manifest in the folder lists the files that `generate` wrote, with their digests. Only these are
overwritten or removed. Files that a user put there, or changed, are not.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from absl import logging

from vaeseq.errors import UsageError
from vaeseq.training import files

_MANIFEST = ".vaeseq-midi.json"
_STAGE = ".vaeseq-midi.unfinished"

_Digests: TypeAlias = dict[str, list[str]]  # of the contents that we gave a file, by name

_SCHEMA = {
    "type": "object",
    "propertyNames": {"pattern": r"^[\w-]+\.\w+$"},  # in this folder: without a separator
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}


class OutputFolder:
    """A folder whose files are written all together or not at all.

    Args:
      path: the folder, which need not exist yet.
      flag: the flag that named it, for error messages.
    """

    def __init__(self, path: Path, flag: str = "--out-dir"):
        self.path, self._flag = path, flag

    def check(self, names: Iterable[str], inputs: Iterable[Path] = ()) -> None:
        """Checks that files with these names can be written.

        Args:
          names: the names.
          inputs: files that must not be lost, because the call reads them.

        Raises:
          UsageError: if a file with one of the names is not as `generate` wrote it, or an input is
            a file of an earlier call, which would be removed.
        """
        written = self._written()
        for path in inputs:
            if path.name in written and path.parent.resolve() == self.path.resolve():
                raise UsageError(
                    f"{self._flag}: {path}, which this call reads, would be removed with the other "
                    "files of an earlier call; move it, or choose another folder"
                )
        for name in names:
            path = self.path / name
            if os.path.lexists(path) and not _is_one_of(path, written.get(name, ())):
                raise UsageError(
                    f"{self._flag}: {path} was not written by vaeseq-midi generate, or has changed "
                    "since; move it, or choose another folder"
                )

    @contextlib.contextmanager
    def replace(self) -> Iterator[Path]:
        """Opens a staging folder; when it closes, its files replace those of the last call.

        Raises:
          UsageError: if the folder cannot be written; see also `check`. Its files are unchanged.
        """
        stage = self.path / _STAGE
        try:
            stage.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(stage)  # what a killed process left
            stage.mkdir()
            try:
                yield stage
                self._take_over(stage)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
        except OSError as error:
            where = error.filename or self.path
            raise UsageError(f"{self._flag}: cannot write {where}: {error.strerror}") from error

    def _take_over(self, stage: Path) -> None:
        """Moves the files of the staging folder here, and removes those of the last call."""
        new = {path.name: [_digest(path)] for path in sorted(stage.iterdir())}
        self.check(new)
        old = self._written()
        # Until all files are in place, those of both calls are known to be ours.
        self._record({name: old.get(name, []) + new.get(name, []) for name in old | new})
        for name in new:
            os.replace(stage / name, self.path / name)
        for name in old.keys() - new.keys():
            self._remove(name, old[name])
        self._record(new)

    def _remove(self, name: str, digests: Iterable[str]) -> None:
        path = self.path / name
        if _is_one_of(path, digests):
            path.unlink()
        elif os.path.lexists(path):
            logging.warning("kept: %s has changed since an earlier call wrote it", path)

    def _written(self) -> _Digests:
        """Returns the digests of the files that `generate` wrote here."""
        folder = files.Folder(self.path, self._flag)
        if not os.path.lexists(self.path / _MANIFEST):
            return {}
        return dict(folder.read_json(_MANIFEST, _SCHEMA))

    def _record(self, digests: Mapping[str, list[str]]) -> None:
        files.Folder(self.path, self._flag).write(_MANIFEST, json.dumps(digests, indent=1))


def _is_one_of(path: Path, digests: Iterable[str]) -> bool:
    """Returns whether a path is a regular file with one of these contents."""
    return path.is_file() and not path.is_symlink() and _digest(path) in digests


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
