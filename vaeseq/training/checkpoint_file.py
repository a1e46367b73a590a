"""A checkpoint: one safetensors file of named arrays, with its checksum.

The SHA-256 in the file's metadata is that of the whole file with zeros in its own place, so that
no bit of it, header included, can change unnoticed; any reader of safetensors can still read it.
"""

import hashlib
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from vaeseq.training import files

_UNSIGNED = b"0" * 64
_MOST_SLOTS = 16  # variables of model and optimizer for every weight
_HEADER_BYTES = 1 << 20


class Invalid(ValueError):
    """The file is not a checkpoint of the model; the message says why."""


Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # shape and NumPy dtype by name


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint, whole or not at all."""
    data = safetensors.numpy.save(dict(arrays), {"sha256": _UNSIGNED.decode()})
    digest = hashlib.sha256(data).hexdigest().encode()
    at = data.index(_UNSIGNED)  # metadata stands before everything else
    with files.atomic_write(path) as file:
        for part in (data[:at], digest, memoryview(data)[at + len(digest) :]):
            file.write(part)


def load(path: Path, shapes: Shapes) -> dict[str, np.ndarray]:
    """The arrays with these names and shapes.

    Their groups, the part of a name before its first slash, must have no other arrays. What the
    file says is held to what is wanted before anything of its size is allocated.

    Raises:
      Invalid: where the file is cut short, changed, foreign, or of another model.
    """
    wanted = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in shapes.values())
    try:
        size = path.stat().st_size
        if size > _MOST_SLOTS * wanted + _HEADER_BYTES:
            raise Invalid(f"{size} bytes are more than any checkpoint of the model has")
        with safetensors.safe_open(path, "numpy") as file:
            _verify(path, (file.metadata() or {}).get("sha256", ""))
            _compare(_described(file, {name.split("/")[0] for name in shapes}), shapes)
            return {name: file.get_tensor(name) for name in shapes}
    except (OSError, safetensors.SafetensorError) as error:
        raise Invalid(str(error)) from error


def _verify(path: Path, digest: str) -> None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(digest.encode(), 0, _HEADER_BYTES)
        if len(digest) != len(_UNSIGNED) or at < 0:
            raise Invalid("it has no checksum: no program of vaeseq wrote it")
        actual = hashlib.sha256()
        with memoryview(data) as view:
            for part in (view[:at], _UNSIGNED, view[at + len(_UNSIGNED) :]):
                actual.update(part)
                del part  # the map closes only when no view of it is left
    if actual.hexdigest() != digest:
        raise Invalid("it is damaged: its checksum does not match")


def _described(file: Any, groups: set[str]) -> Shapes:
    """Shape and safetensors dtype of the arrays of some groups."""
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
    """The name that safetensors has for it, such as F32."""
    return "BOOL" if dtype.kind == "b" else f"{dtype.kind.upper()}{8 * dtype.itemsize}"
