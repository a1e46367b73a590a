import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq.training import checkpoint_file

ARRAYS = {
    "model/0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "run/step": np.asarray(7, np.int64),
    "run/on": np.asarray([True, False]),
}
SHAPES = {name: (array.shape, str(array.dtype)) for name, array in ARRAYS.items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "intact.safetensors"
    checkpoint_file.save(path, ARRAYS)
    return path


def test_saved_arrays_can_be_loaded_also_by_safetensors(path):
    for loaded in (checkpoint_file.load(path, SHAPES), safetensors.numpy.load_file(path)):
        assert loaded.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            assert loaded[name].dtype == array.dtype and np.array_equal(loaded[name], array)


def test_groups_of_arrays_can_be_left_out(path):
    assert checkpoint_file.load(path, {"run/step": ((), "int64"), "run/on": ((2,), "bool")})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_bit_is_detected(path, data):
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    damaged = path.with_name("damaged")
    damaged.write_bytes(content)
    with pytest.raises(checkpoint_file.Invalid):
        checkpoint_file.load(damaged, SHAPES)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_cut_and_any_addition_is_detected(path, data):
    content = path.read_bytes()
    cut = path.with_name("cut")
    for other in (content[: data.draw(st.integers(0, len(content) - 1))], content + b"\0"):
        cut.write_bytes(other)
        with pytest.raises(checkpoint_file.Invalid):
            checkpoint_file.load(cut, SHAPES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model/0": ((3, 2), "float32")}, "another model: model/0"),
        ({"model/0": ((2, 3), "float64")}, "another model: model/0"),
        ({"model/1": ((1,), "float32")}, "model/1 is missing"),
        ({"model/0": None, "model/2": ((2, 3), "float32")}, "model/2 is missing"),
        ({"run/on": None}, "unknown array 'run/on'"),
    ],
)
def test_names_shapes_and_dtypes_must_match(path, changes, message):
    shapes = {name: shape for name, shape in {**SHAPES, **changes}.items() if shape}
    with pytest.raises(checkpoint_file.Invalid, match=message):
        checkpoint_file.load(path, shapes)


def described(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04cos\nsystem\n(S'false'\ntR.",  # a pickle
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**24) + b"{}",
        described({"model/0": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        described({"model/0": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 0]}}),
        described({"__metadata__": {"sha256": ""}}),
        described({"__metadata__": {"sha256": "0" * 64}}),
        described({"__metadata__": "x"}),
        b"[" * 100_000,
        safetensors.numpy.save(ARRAYS),
        safetensors.numpy.save(ARRAYS, {"sha256": "no checksum"}),
    ],
)
def test_a_file_that_vaeseq_did_not_write_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(checkpoint_file.Invalid):
        checkpoint_file.load(tmp_path / "file", SHAPES)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(checkpoint_file.Invalid, match="more than any checkpoint"):
        checkpoint_file.load(tmp_path / "huge", SHAPES)


def write(path, arrays, **metadata):
    """Writes a checkpoint with other metadata, as an earlier or a later version does."""
    data = safetensors.numpy.save(arrays, {**metadata, "sha256": "0" * 64})
    digest = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data.replace(b"0" * 64, digest, 1))


def test_only_arrays_of_format_1_are_converted(tmp_path):
    upgrades = {"model/0": lambda array: -array}
    write(tmp_path / "old", ARRAYS)
    checkpoint_file.save(tmp_path / "new", ARRAYS)
    old, new = (checkpoint_file.load(tmp_path / name, SHAPES, upgrades) for name in ("old", "new"))
    np.testing.assert_array_equal(old["model/0"], -ARRAYS["model/0"])
    np.testing.assert_array_equal(new["model/0"], ARRAYS["model/0"])
    np.testing.assert_array_equal(old["run/on"], ARRAYS["run/on"])


@pytest.mark.parametrize("number", ["3", "x", ""])
def test_a_file_of_a_later_format_is_refused(tmp_path, number):
    write(tmp_path / "file", ARRAYS, format=number)
    with pytest.raises(checkpoint_file.Invalid, match="a later version of vaeseq wrote it"):
        checkpoint_file.load(tmp_path / "file", SHAPES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    path = tmp_path / "file.safetensors"
    checkpoint_file.save(path, {**ARRAYS, "model/0": np.full([2, 3], bad, np.float32)})
    with pytest.raises(checkpoint_file.Invalid, match="values in model/0 that are not finite"):
        checkpoint_file.load(path, SHAPES)
