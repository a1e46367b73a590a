"""The folder of `generate`: what an earlier call wrote is replaced, what a user has is not."""

import json
import os
import pathlib
import shutil

import pytest

from vaeseq import UsageError
from vaeseq.examples.midi.output import OutputFolder


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path / "music")


def write(folder, *names, content="new"):
    with folder.replace() as stage:
        for name in names:
            (stage / name).write_text(content)


def contents(folder):
    return {path.name: path.read_text() for path in folder.path.iterdir() if path.name[0] != "."}


def test_files_of_an_earlier_call_are_replaced_and_removed(folder):
    write(folder, "sample-01.mid", "sample-02.mid", content="old")
    (folder.path / "mine.txt").write_text("mine")
    (folder.path / "sample-03.mid").write_text("mine")
    write(folder, "sample-01.mid")
    mine = {"mine.txt": "mine", "sample-03.mid": "mine"}
    assert contents(folder) == {"sample-01.mid": "new", **mine}
    assert [x.name for x in folder.path.iterdir() if x.name[0] == "."] == [".vaeseq-midi.json"]


def test_a_file_that_the_call_reads_is_not_removed(folder, tmp_path, monkeypatch):
    write(folder, "sample-01.mid", "sample-02.mid")
    monkeypatch.chdir(tmp_path)
    relative = pathlib.Path("music/../music/sample-02.mid")
    for path in (folder.path / "sample-02.mid", relative):
        with pytest.raises(UsageError, match=r"sample-02.mid, which this call reads, would be"):
            folder.check(["sample-01.mid"], [path])
    folder.check(["sample-01.mid"], [tmp_path / "sample-02.mid", folder.path / "mine.mid"])


@pytest.mark.parametrize("make", ["write_text", "mkdir", "symlink_to", "link", "fifo"])
def test_a_file_of_another_origin_is_refused_and_kept(folder, make, tmp_path):
    write(folder, "sample-01.mid", content="old")
    path = folder.path / "sample-02.mid"
    if make == "fifo":
        os.mkfifo(path)
    elif make == "link":  # to what we wrote
        path.symlink_to(folder.path / "sample-01.mid")
    else:
        arguments = {"write_text": ["mine"], "symlink_to": [tmp_path / "missing"]}.get(make, [])
        getattr(path, make)(*arguments)
    with pytest.raises(UsageError, match=r"--out-dir: .*/sample-02.mid was not written by"):
        folder.check(["sample-01.mid", "sample-02.mid"])
    with pytest.raises(UsageError, match="was not written by"):
        write(folder, "sample-01.mid", "sample-02.mid")
    assert (folder.path / "sample-01.mid").read_text() == "old" and os.path.lexists(path)


def test_a_sample_that_the_user_changed_is_kept(folder, caplog):
    write(folder, "sample-01.mid", "sample-02.mid", content="old")
    (folder.path / "sample-02.mid").write_text("edited")
    with pytest.raises(UsageError, match="or has changed since"):
        folder.check(["sample-02.mid"])
    with caplog.at_level("WARNING", "absl"):
        write(folder, "sample-01.mid")
    assert contents(folder) == {"sample-01.mid": "new", "sample-02.mid": "edited"}
    assert [x.message for x in caplog.records if "kept: " in x.message]


def test_a_failure_while_writing_leaves_the_files_of_the_earlier_call(folder):
    write(folder, "sample-01.mid", content="old")
    with pytest.raises(ZeroDivisionError), folder.replace() as stage:
        (stage / "sample-01.mid").write_text("half")
        raise ZeroDivisionError
    assert contents(folder) == {"sample-01.mid": "old"}


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_a_call_that_was_killed_does_not_stop_the_next(folder, monkeypatch, moves):
    """Killed: without cleaning up, after some of the moves into place."""
    write(folder, "a.mid", "b.mid", "c.mid", content="old")
    replace, remove, left = os.replace, shutil.rmtree, [moves]

    def counted(*paths):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted)
        patch.setattr(shutil, "rmtree", lambda x, ignore_errors=0: ignore_errors or remove(x))
        patch.setattr(pathlib.Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write(folder, "a.mid", "b.mid")
    write(folder, "b.mid", content="newest")
    assert contents(folder) == {"b.mid": "newest"}


def test_a_folder_that_cannot_be_made_or_written_is_reported(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(UsageError, match=f"--out-dir: cannot write {blocked}"):
        write(OutputFolder(blocked), "sample-01.mid")


@pytest.mark.parametrize(
    "manifest", ["{", '{"../mine.txt": []}', '{"a": 1}', '{"/etc/passwd": []}']
)
def test_a_manifest_that_is_not_ours_is_refused(folder, manifest):
    write(folder, "sample-01.mid", content="old")
    (folder.path / ".vaeseq-midi.json").write_text(manifest)
    with pytest.raises(UsageError, match=r"--out-dir: cannot read .*\.vaeseq-midi\.json"):
        folder.check(["sample-01.mid"])


def test_a_manifest_has_the_files_of_the_last_call(folder):
    write(folder, "a.mid", "b.mid")
    write(folder, "b.mid", "c.mid")
    assert list(json.loads((folder.path / ".vaeseq-midi.json").read_text())) == ["b.mid", "c.mid"]
