"""The standard streams of a program: safe on a terminal, and defined if they are closed or full."""

import os
import re
import sys
from typing import Any, TextIO, cast

from vaeseq.errors import UsageError

# The C0 and C1 controls, and the marks that change the direction of text or end a line.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COLORS = re.compile("\x1b\\[[0-9;]*m")


def escape(text: str) -> str:
    """Replaces each control character but tab and newline by an escape sequence such as `\\x1b`.

    A terminal obeys control characters: a text with some can hide what is written, rename the
    window, or type commands.
    """
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def protect() -> None:
    """Wraps sys.stdout and sys.stderr in `Output` and `Messages`; opens descriptors in their place.

    If a descriptor below 3 stayed closed, the next file that is opened, such as a checkpoint, would
    get its number and whatever a library prints.

    Raises:
      UsageError: if stdout is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115  # the user wants no messages
    sys.stderr = cast(TextIO, Messages(stderr))
    if sys.stdout is None:
        raise UsageError("stdout is closed; redirect it to a file, or to /dev/null")
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # any text, any terminal
    sys.stdout = cast(TextIO, Output(sys.stdout))


class _Stream:
    """A text stream that escapes control characters if it is a terminal."""

    def __init__(self, stream: TextIO):
        self._stream, self._is_terminal = stream, stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes a text."""
        try:
            return self._stream.write(self._escape(text) if self._is_terminal else text)
        except OSError as error:
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def _escape(self, text: str) -> str:
        raise NotImplementedError

    def _fail(self, error: OSError) -> None:
        """Discards what is buffered and all that follows: Python flushes once more at exit."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


class Output(_Stream):
    """Results, on stdout.

    Writing raises `UsageError` if the stream cannot be written, for example because the disk is
    full, and `BrokenPipeError` if the process that reads them has ended.
    """

    def _escape(self, text: str) -> str:
        return escape(text)

    def _fail(self, error: OSError) -> None:
        super()._fail(error)
        if isinstance(error, BrokenPipeError):
            raise error
        raise UsageError(f"cannot write to stdout: {error.strerror}") from error


class Messages(_Stream):
    """Messages and progress bars, on stderr. A bar returns to the beginning of its line.

    If the stream cannot be written, messages are lost and the command goes on.
    """

    def _escape(self, text: str) -> str:
        return "\r".join(map(escape, _COLORS.sub("", text).split("\r")))
