"""Commands end with the right exit code and no traceback. They are functions of this file."""

import errno
import os
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command
from vaeseq.errors import Stopped, UsageError


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command of this file; returns exit code, stdout and stderr."""

    def run(name):
        parser, commands = arguments.make_parser("prog", "A program.")
        arguments.add_command(commands, __name__, name, name)
        monkeypatch.setattr(sys, "argv", ["prog", name, "--log-dir", "d"])
        with pytest.raises(SystemExit) as exit:
            run_command(parser)
        return exit.value.code, *capsys.readouterr()

    return run


def succeed(args):
    print(args.log_dir)


def make_a_mistake(args):
    raise UsageError("--flag: is wrong")


def stop(args):
    raise Stopped("the disk is full")


def fill_the_disk(args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/file")


def fill_the_memory(args):
    np.zeros([1 << 60], np.uint8)


def fill_the_memory_by_tensorflow(args):
    tf.zeros([1 << 60], tf.uint8)


def receive_sigint(args):
    signal.raise_signal(signal.SIGINT)


def receive_sigterm(args):
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "code", "out", "err"),
    [
        ("succeed", 0, "d\n", ""),
        ("make_a_mistake", 2, "", "prog make_a_mistake: error: --flag: is wrong\n"),
        ("stop", 1, "", "prog stop: error: the disk is full\n"),
        ("fill_the_disk", 1, "", "prog fill_the_disk: error: /tmp/file: No space left on device\n"),
        ("receive_sigint", 130, "", ""),
        ("receive_sigterm", 143, "", ""),
    ],
)
def test_a_command_ends_with_its_exit_code_and_at_most_one_line(run, name, code, out, err):
    assert run(name) == (code, out, err)


@pytest.mark.parametrize("name", ["fill_the_memory", "fill_the_memory_by_tensorflow"])
def test_memory_that_runs_out_is_one_line(run, name):
    code, out, err = run(name)
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert f"prog {name}: error: out of memory for an array of shape" in err
    assert str(1 << 60) in err
