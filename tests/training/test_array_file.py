import numpy as np
import pytest

from vaeseq import UsageError
from vaeseq.training import array_file
from vaeseq.training.array_file import ArrayFile


@pytest.mark.parametrize(("limit", "shape"), [(200, ()), (70_000, (3,))])
def test_slices_are_those_of_the_array(tmp_path, limit, shape):
    array = np.random.default_rng(0).integers(limit, size=[20, *shape])
    array_file.write(tmp_path / "file", np.split(array, [3, 11]), limit)
    rows = ArrayFile(tmp_path / "file", limit, shape)
    part = ArrayFile(tmp_path / "file", limit, shape, start=4, stop=15)
    assert len(rows) == 20 and len(part) == 11
    for bounds in (slice(None), slice(2, 9), slice(18, 40), slice(5, 5), slice(-3, None)):
        np.testing.assert_array_equal(rows[bounds], array[bounds])
        np.testing.assert_array_equal(part[bounds], array[4:15][bounds])
    assert rows[:].dtype == array_file.dtype(limit)


def test_steps_are_refused(tmp_path):
    array_file.write(tmp_path / "ids", [np.arange(5)], 5)
    with pytest.raises(ValueError, match="not in steps of 2"):
        ArrayFile(tmp_path / "ids", 5)[::2]


def test_missing_cut_and_changed_files_are_refused(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(UsageError, match="--log-dir: cannot read"):
        ArrayFile(path, 9)
    for content in (b"", b"\0\1\2"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is cut short"):
            ArrayFile(path, 1000)
    path.write_bytes(b"\0\1\2\3")
    rows = ArrayFile(path, 3)
    with pytest.raises(UsageError, match="has changed, or belongs to another run"):
        rows[:]
    path.write_bytes(b"\0")
    with pytest.raises(UsageError, match="has changed, or belongs to another run"):
        rows[:2]
