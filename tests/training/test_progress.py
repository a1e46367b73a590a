"""Progress is a bar on a terminal, and lines in a file or pipe."""

import re
import sys

import pytest

from vaeseq.training import progress


class Clock:
    """A clock that advances by 0.1 seconds whenever somebody looks."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.1
        return self.now


@pytest.fixture
def written(monkeypatch, capsys):
    """Returns what was written to stderr."""
    monkeypatch.setattr("tqdm.std.time", Clock())
    return lambda: capsys.readouterr().err


def test_in_a_file_progress_is_a_line_every_few_seconds(written):
    with progress.bar(total=10_000, unit="step") as bar:
        for step in range(10_000):
            bar.set_postfix({"loss": f"{step}"}, refresh=False)
            bar.update()
            if step == 5:
                progress.write_above("a message\n")
    text = written()
    message, first, *_, last = lines = text.splitlines()
    assert message == "a message" and "\r" not in text
    assert re.match(r"0%\| \d+/10000 \[00:0[12]<", first)
    assert last.startswith("100%| 10000/10000 [") and last.endswith("step/s, loss=9999]")
    assert 100 < len(lines) < 130, "a thousand seconds"


def test_in_a_file_a_bar_that_does_not_stay_or_is_interrupted_leaves_no_line_of_its_own(written):
    assert list(progress.bar(range(5), "parsing", leave=False)) == list(range(5))
    progress.bar(total=3, initial=2).close()
    progress.bar(total=3, disable=True).close()
    assert written() == ""
    with progress.bar(total=100) as bar:
        bar.update(50)
    assert written().count("\n") == 1


def test_on_a_terminal_progress_is_a_bar_and_messages_appear_above(written, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar(total=2) as bar:
        bar.update()
        progress.write_above("a message\n")
    text = written()
    assert text.count("\r") > 2 and "a message\n" in text
