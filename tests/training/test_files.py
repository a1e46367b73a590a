import os

import pytest

from vaeseq import UsageError
from vaeseq.training import files


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file"
    with files.atomic_write(path) as file:
        file.write(b"old")
    with pytest.raises(KeyboardInterrupt), files.atomic_write(path) as file:
        file.write(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["file"]


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda _: order.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *a: (order.append("replace"), replace(*a)))
    with files.atomic_write(tmp_path / "file") as file:
        file.write(b"x")
    assert order == ["fsync", "replace", "fsync"], "the file, its name, the folder"


def test_writing_does_not_follow_a_planted_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file.unfinished").symlink_to(outside)
    with files.atomic_write(tmp_path / "run" / "file") as file:
        file.write(b"x")
    assert outside.read_text() == "precious"


def test_links_out_of_the_folder_loops_of_links_and_pipes_are_refused(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "outside").write_text("secret")
    (run / "out").symlink_to("../outside")
    (run / "folder").symlink_to(tmp_path)
    (run / "loop").symlink_to("loop")
    os.mkfifo(run / "pipe")
    (run / "own").write_text("text")
    (run / "in").symlink_to("own")
    for name in ("out", "folder/outside", "../outside", "loop", "pipe"):
        with pytest.raises(UsageError):
            files.read_text(run, name)
    assert files.read_text(run, "in") == "text"


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "file").write_text("abcd")
    with pytest.raises(UsageError, match="more than 3 bytes"):
        files.read_text(tmp_path, "file", max_bytes=3)
    assert files.read_text(tmp_path, "file", max_bytes=4) == "abcd"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "NaN", '{"a": Infinity}', "1" * 10_000, '{"a": "text"}', "[]", "\0"],
)
def test_a_text_that_is_not_json_or_does_not_match_the_schema_is_a_usage_error(text):
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    with pytest.raises(UsageError, match="cannot read here"):
        files.parse_json(text, schema, "here")
    assert files.parse_json('{"a": 1}', schema, "here") == {"a": 1}
