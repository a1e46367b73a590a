"""Checkpoint files: named arrays in one safetensors file, with a checksum.

The SHA-256 in the file's metadata covers the whole file, with zeros in place of the checksum
itself. Every changed bit is detected, also in the header, and any safetensors reader can read the
file. The metadata also holds the number of the format; files of vaeseq 0.1 have none: format 1.
"""

import hashlib
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import safetensors
import safetensors.numpy
import tensorflow as tf

from vaeseq.training import files

_FORMAT = 2
_UNSIGNED = b"0" * 64
_MAX_SLOTS = 16  # the most variables of model and optimizer for each weight
_HEADER_BYTES = 1 << 20


class Invalid(ValueError):
    """The file is not a checkpoint of the model; the message says why."""


Shapes: TypeAlias = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and NumPy dtype of arrays, by name."""

Upgrades: TypeAlias = Mapping[str, Callable[[np.ndarray], np.ndarray | tf.Tensor]]
"""Functions that convert arrays of format 1 to the current format, by name."""


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint completely or not at all."""
    metadata = {"format": str(_FORMAT), "sha256": _UNSIGNED.decode()}
    data = safetensors.numpy.save(dict(arrays), metadata)
    digest = hashlib.sha256(data).hexdigest().encode()
    at = data.index(_UNSIGNED)  # the metadata precede everything else
    with files.atomic_write(path) as file:
        for part in (data[:at], digest, memoryview(data)[at + len(digest) :]):
            file.write(part)


def load(path: Path, shapes: Shapes, upgrades: Upgrades | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays with the given names and shapes.

    The file must hold no other arrays in the groups of these names (a group is the part of a name
    before its first slash). The header is checked before memory is allocated for the arrays.

    Args:
      path: the file.
      shapes: the names, shapes and dtypes of the arrays.
      upgrades: functions that convert arrays of format 1 to the current format.

    Raises:
      Invalid: if the file is cut short, changed, foreign, of another model or of a later version,
        or has values that are not finite.
    """
    wanted = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in shapes.values())
    try:
        size = path.stat().st_size
        if size > _MAX_SLOTS * wanted + _HEADER_BYTES:
            raise Invalid(f"{size} bytes are more than any checkpoint of the model has")
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            _verify(path, metadata.get("sha256", ""))
            is_old = _format(metadata) == 1
            _compare(_describe(file, {name.split("/")[0] for name in shapes}), shapes)
            arrays = {name: file.get_tensor(name) for name in shapes}
            _check_finite(arrays)
    except (OSError, safetensors.SafetensorError) as error:
        raise Invalid(str(error)) from error
    if is_old and upgrades:
        arrays |= {name: np.asarray(upgrade(arrays[name])) for name, upgrade in upgrades.items()}
    return arrays


def _check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Invalid(f"it has values in {name} that are not finite")


def _format(metadata: Mapping[str, str]) -> int:
    number = metadata.get("format", "1")
    if number not in ("1", str(_FORMAT)):
        raise Invalid(f"its format is {number}: a later version of vaeseq wrote it; upgrade vaeseq")
    return int(number)


def _verify(path: Path, digest: str) -> None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(digest.encode(), 0, _HEADER_BYTES)
        if len(digest) != len(_UNSIGNED) or at < 0:
            raise Invalid("it has no checksum: vaeseq did not write it")
        actual = hashlib.sha256()
        with memoryview(data) as view:
            for part in (view[:at], _UNSIGNED, view[at + len(_UNSIGNED) :]):
                actual.update(part)
                del part  # the map can be closed only when no view of it is left
    if actual.hexdigest() != digest:
        raise Invalid("it is damaged: its checksum does not match")


def _describe(file: safetensors.safe_open, groups: set[str]) -> Shapes:
    """Returns shape and safetensors dtype of the arrays in some groups."""
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    return {
        name: (tuple(x.get_shape()), x.get_dtype())
        for name, x in slices.items()
        if name.split("/")[0] in groups
    }


def _compare(found: Shapes, wanted: Shapes) -> None:
    for name, (shape, dtype) in wanted.items():
        described = tuple(shape), _code(np.dtype(dtype))
        if found.get(name) != described:
            raise Invalid(
                f"it is of another model: {name} is {found.get(name, 'missing')}, not {described}"
            )
    unknown = found.keys() - wanted.keys()
    if unknown:
        raise Invalid(f"it is of another model: unknown array {min(unknown)!r}")


def _code(dtype: np.dtype) -> str:
    """Returns the safetensors name of a dtype, such as F32."""
    return "BOOL" if dtype.kind == "b" else f"{dtype.kind.upper()}{8 * dtype.itemsize}"
