"""Files are opened with the desktop's program, here a fake one."""

import sys
import time

import pytest

from vaeseq.cli.desktop import open_file


@pytest.fixture
def opener(tmp_path, monkeypatch):
    """Makes xdg-open a script with these commands."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(*commands, name="xdg-open", interpreter="/bin/sh"):
        path = tmp_path / name
        path.write_text("\n".join([f"#!{interpreter}", *commands]))
        path.chmod(0o755)

    return write


@pytest.mark.parametrize(("platform", "name"), [("linux", "xdg-open"), ("darwin", "open")])
def test_the_opener_gets_the_absolute_path(opener, platform, name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    opener(f'echo "$@" > {tmp_path}/told', name=name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a b.html").touch()
    assert open_file(tmp_path.relative_to(tmp_path) / "-a b.html") is None
    assert (tmp_path / "told").read_text() == f"{tmp_path}/-a b.html\n"


def test_a_program_that_stays_open_is_not_waited_for(opener, tmp_path):
    opener("sleep 3")
    before = time.monotonic()
    assert open_file(tmp_path, seconds=0.1) is None
    assert time.monotonic() - before < 2.5


def test_the_reason_of_a_failure_is_returned(opener, tmp_path, monkeypatch):
    opener("exit 4")
    assert open_file(tmp_path) == "xdg-open ended with exit code 4"
    opener(interpreter="/missing")
    assert "xdg-open does not start: No such file" in open_file(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert open_file(tmp_path) == "xdg-open is not installed"
    monkeypatch.delenv("DISPLAY")
    assert open_file(tmp_path) == "there is no display"
