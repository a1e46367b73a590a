"""Corpora on disk: rows of small non-negative integers, of which slices are read."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.training import files


class ArrayFile:
    """An array [N, *shape] on disk that can be sliced: the rows `start` to `stop` of a file.

    The file contains the integers and nothing else. Each slice is read from it. A memory map would
    work too, but the pages it touches count as memory of the program and grow with the file.

    Args:
      path: the file.
      limit: all integers are below it; their dtype is the smallest that can hold them.
      shape: the shape of a row.
      start: the first row.
      stop: the row after the last; None is the end of the file.

    Raises:
      UsageError: if the file does not consist of such rows.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        shape: tuple[int, ...] = (),
        start: int = 0,
        stop: int | None = None,
    ):
        self.path, self.limit, self.shape, self.dtype = path, limit, shape, dtype(limit)
        self._row_bytes = self.dtype.itemsize * math.prod(shape)
        try:
            length, rest = divmod(path.stat().st_size, self._row_bytes)
        except OSError as error:
            raise UsageError(f"--log-dir: cannot read {path}: {error.strerror}") from error
        if rest or not length:
            raise UsageError(f"--log-dir: {path} is cut short")
        self._range = range(length)[start:stop]

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, part: slice) -> np.ndarray:
        wanted = self._range[part]
        if wanted.step != 1:
            raise ValueError(f"an array file is read in order, not in steps of {wanted.step}")
        count, offset = len(wanted) * math.prod(self.shape), wanted.start * self._row_bytes
        rows = np.fromfile(self.path, self.dtype, count, offset=offset)
        if len(rows) < count or np.any(rows >= self.limit):
            raise UsageError(f"--log-dir: {self.path} has changed, or belongs to another run")
        return rows.reshape(-1, *self.shape)


def dtype(limit: int) -> np.dtype:
    """Returns the smallest dtype that holds the integers below `limit`."""
    return np.min_scalar_type(limit - 1)


def write(path: Path, blocks: Iterable[np.ndarray], limit: int) -> None:
    """Writes an array file block by block."""
    with files.atomic_write(path) as file:
        for block in blocks:
            file.write(block.astype(dtype(limit)).tobytes())
