"""Corpora on the disk: rows of small whole numbers, read part by part."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.training import files


class Rows:
    """The rows in a file from `start` to `stop`, as an array [N, *shape] that can be sliced.

    The file has nothing but the numbers. Slices are read from it: a memory map would do as well,
    but the pages that it has touched count as memory of the program, and grow with the file.

    Args:
      path: the file.
      limit: numbers are below it; their dtype is the smallest that can hold them.
      shape: of a row.
      start: the first row.
      stop: the row after the last; None goes to the end.

    Raises:
      UsageError: where the file is not one of such rows.
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
        count, offset = len(wanted) * math.prod(self.shape), wanted.start * self._row_bytes
        rows = np.fromfile(self.path, self.dtype, count, offset=offset)
        if len(rows) < count or np.any(rows >= self.limit):
            raise UsageError(f"--log-dir: {self.path} has changed, or is of another run")
        return rows.reshape(-1, *self.shape)


def dtype(limit: int) -> np.dtype[Any]:
    """The smallest dtype of whole numbers below `limit`."""
    return np.min_scalar_type(limit - 1)


def write(path: Path, blocks: Iterable[np.ndarray], limit: int) -> None:
    """Writes a file of rows, block by block."""
    with files.atomic_write(path) as file:
        for block in blocks:
            file.write(block.astype(dtype(limit)).tobytes())
