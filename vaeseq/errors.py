"""The one exception that means: the user can mend this."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A mistake in what the user gave: its message says what, where, and what to do.

    The programs print it as one line on stderr and exit with 2.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known word, or else the list of known words."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
