"""Runs a program's command: its log, its signals, its exit codes."""

import os
import sys
from typing import Any, NoReturn

from vaeseq.cli.arguments import Parser
from vaeseq.errors import Stopped, UsageError
from vaeseq.training.signals import ignore_at_exit, interruptible


def main(parser: Parser) -> NoReturn:
    """Runs the command of the command line.

    Exit code 0, 2 for what the user can mend, 1 for what ended a training, and 130 or 143 for
    Ctrl-C or SIGTERM before the command has ended.
    """
    args = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # any text, any terminal
    try:
        with interruptible():
            code = _under_absl(args)
    except KeyboardInterrupt as interrupted:
        code = getattr(interrupted, "exit_code", 130)
    ignore_at_exit()
    sys.exit(code)


def _under_absl(args: Any) -> Any:
    """Runs the command as absl runs a program; returns the exit code."""
    _import_tensorflow_quietly()
    from absl import app  # not needed for --help

    try:
        app.run(lambda _: _exit_code(args), argv=sys.argv[:1])
    except SystemExit as ended:  # here, so that what the command held is let go within its handlers
        return ended.code


def _exit_code(args: Any) -> int:
    """Runs the command; what it raises becomes one line."""
    from absl import logging

    logging.set_verbosity(logging.INFO)
    handler = logging.get_absl_handler()
    handler.setFormatter(None)
    handler.python_handler.stream = _AboveBars()
    try:
        args.run(args)
        sys.stdout.flush()
    except (UsageError, Stopped) as error:
        _AboveBars().write(f"{args.parser.prog}: error: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # the reader of stdout, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its notes on the machine, unless the user wants them.

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


class _AboveBars:
    """Writes to stderr without tearing a progress bar."""

    def write(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr, end="")

    def flush(self) -> None:
        sys.stderr.flush()

    close = flush  # stderr itself stays open
