"""The exceptions that a program tells in one line, without a traceback."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A mistake in what the user gave: its message says what, where, and what to do.

    The programs print it as one line on stderr and exit with 2.
    """


class Stopped(RuntimeError):
    """What ends a training that was under way, through no mistake of the command line.

    A loss that is not finite, a full disk, a lost worker. The programs print it as one line on
    stderr and exit with 1; the newest checkpoint stands.
    """


class LostWorker(Stopped):
    """One of several workers that train together has gone; the others cannot go on alone."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known word, or else the list of known words."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
