"""The command lines of the benchmarks: all modules can be imported, documented commands parse."""

import argparse
import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "benchmarks").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), *SOURCES]
COMMAND = re.compile(r"python -m (benchmarks(?:\\\n|[^`\n])*)")


def commands():
    """Returns all benchmark commands in documents and docstrings."""
    found = [text for page in PAGES for text in COMMAND.findall(page.read_text(encoding="utf-8"))]
    return sorted({text.replace("\\\n", " ").strip() for text in found})


def run(monkeypatch, name, *arguments):
    """Runs a benchmark in this process, as `python -m` does."""
    path = ROOT.joinpath(*name.split("."))
    module = importlib.import_module(f"{name}.__main__" if path.is_dir() else name)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    module.main()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_can_be_imported_and_answers_help(path, monkeypatch, capsys):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(name)
    if hasattr(module, "main"):
        monkeypatch.setattr(sys, "argv", [name, "--help"])
        with pytest.raises(SystemExit) as exit:
            module.main()
        assert exit.value.code == 0
        assert capsys.readouterr().out.startswith("usage: ")


class Parsed(Exception):
    """The command line is valid."""


@pytest.mark.parametrize("command", commands())
def test_documented_commands_parse(command, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser):
        parse(parser)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    with pytest.raises(SystemExit if "--help" in command else Parsed):
        run(monkeypatch, *shlex.split(command, comments=True))


def test_the_documents_have_commands():
    assert len(commands()) > 20
