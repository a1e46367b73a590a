"""Runs a program's command: its log, its signals and its exit code."""

import argparse
import os
import re
import sys
from typing import NoReturn

from vaeseq.cli import streams
from vaeseq.cli.arguments import Parser
from vaeseq.errors import Stopped, UsageError
from vaeseq.training import progress
from vaeseq.training.signals import ignore_at_exit, interruptible

_SIZE = re.compile(r"shape ?([\[(][\d, ]*[\])])")  # in the errors of TensorFlow and NumPy


def run_command(parser: Parser) -> NoReturn:
    """Parses the command line, runs its command and exits.

    Exit codes:
      0: success.
      1: a training run stopped (`Stopped`), a file could not be read or written (`OSError`), or
        memory ran out.
      2: the user made a mistake (`UsageError`, or a mistake in the flags).
      130 or 143: Ctrl-C or SIGTERM ended the command.
    """
    try:
        streams.protect()
    except UsageError as error:
        parser.error(str(error))
    args = parser.parse_args()
    try:
        with interruptible():
            code = _run_under_absl(args)
    except KeyboardInterrupt as interrupted:
        code = getattr(interrupted, "exit_code", 130)
    ignore_at_exit()
    sys.exit(code)


def _run_under_absl(args: argparse.Namespace) -> str | int | None:
    """Runs the command as an absl program, which sets up absl's log; returns the exit code."""
    _import_tensorflow_quietly()
    from absl import app  # not needed for --help

    try:
        app.run(lambda _: _run(args), argv=sys.argv[:1])
    except SystemExit as ended:
        # Ends here, so that what the command held is released while signals are still handled.
        return ended.code
    return 0


def _run(args: argparse.Namespace) -> int:
    """Runs the command; prints an expected error as one line; returns the exit code."""
    import tensorflow as tf
    from absl import logging

    logging.set_verbosity(logging.INFO)
    handler = logging.get_absl_handler()
    handler.setFormatter(None)
    handler.python_handler.stream = _AboveProgressBars()
    try:
        args.run(args)
        sys.stdout.flush()
    except (UsageError, Stopped) as error:
        _AboveProgressBars().write(f"{args.parser.prog}: error: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        size = _SIZE.search(str(error))
        what = f" for an array of shape {size[1]}" if size else ""
        _AboveProgressBars().write(f"{args.parser.prog}: error: out of memory{what}\n")
        return 1
    except BrokenPipeError:
        pass  # the process that reads stdout, such as `head`, has ended
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _AboveProgressBars().write(f"{args.parser.prog}: error: {where}{error.strerror or error}\n")
        return 1
    return 0


def _import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its messages, unless TF_CPP_MIN_LOG_LEVEL asks for them.

    TF_CPP_MIN_LOG_LEVEL alone does not silence the import (tensorflow/tensorflow#100442).
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        return
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


class _AboveProgressBars:
    """A stream that writes to stderr above the progress bars."""

    def write(self, text: str) -> None:
        # Unlike a bar, a message has no reason to return to the beginning of its line.
        progress.write_above(streams.escape(text) if sys.stderr.isatty() else text)

    def flush(self) -> None:
        sys.stderr.flush()

    close = flush  # absl closes its stream; stderr must stay open
