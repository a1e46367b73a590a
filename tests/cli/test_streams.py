"""What the programs print is safe on a terminal, and they end well if they cannot print."""

import os
import subprocess
import sys

import pytest

from vaeseq import UsageError
from vaeseq.cli import streams

HOSTILE = "a\x1b]0;title\x07b\x9bc\u202ed\re\x7f"
ESCAPED = r"a\x1b]0;title\x07b\x9bc\u202ed\re\x7f"


def test_control_characters_are_escaped_but_for_tabs_and_newlines():
    assert streams.escape(HOSTILE) == ESCAPED
    harmless = "Grüße, 世界 \N{ZERO WIDTH JOINER}\t👩‍🚀\n"
    assert streams.escape(harmless) == harmless


def test_a_terminal_gets_escapes_and_a_file_gets_the_text(terminal, monkeypatch, tmp_path):
    with terminal() as read:
        streams.protect()
        print(HOSTILE)
        sys.stdout.flush()
        assert read() == f"{ESCAPED}\r\n"
        sys.stderr.write("\r50%|\x1b[33m#\x1b[0m\x1b[2J")
        sys.stderr.flush()
        assert read() == r"50%|#\x1b[2J".join(["\r", ""]), "bars may return, colors are dropped"
    with open(tmp_path / "out", "w", encoding="utf-8", newline="") as file:
        monkeypatch.setattr(sys, "stdout", file)
        streams.protect()
        print(HOSTILE, flush=True)
    assert (tmp_path / "out").read_bytes().decode() == f"{HOSTILE}\n"


def run_with(redirection, code):
    command = f'"{sys.executable}" -c "{code}" {redirection}'
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)


def test_a_closed_stdout_is_refused():
    command = "from vaeseq.examples.text.app import main; main()"
    ended = run_with(">&-", command)
    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "error: stdout is closed; redirect it to a file, or to /dev/null\n"
    )
    assert ended.stderr.count("\n") == 1


def test_files_do_not_get_the_numbers_of_closed_streams():
    code = "from vaeseq.cli import streams; streams.protect(); print(open('/dev/zero').fileno())"
    ended = run_with("<&- 2>&-", code)
    assert ended.returncode == 0 and int(ended.stdout) > 2


def test_a_stream_whose_reader_has_ended_raises_a_broken_pipe(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        streams.protect()
        print("lost")
        with pytest.raises(BrokenPipeError):
            sys.stdout.flush()
        sys.stdout.flush()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(UsageError, match="stdout is closed"):
        streams.protect()
