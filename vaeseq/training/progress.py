"""Progress on stderr: a bar on a terminal; in a file or pipe, a line every few seconds."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_SECONDS = (1.0, 10.0)  # the shortest and the longest time between two lines
_SHARE = 0.1  # of the time so far, after which there is another line


def bar(iterable: Iterable[object] | None = None, *args: Any, **kwargs: Any) -> tqdm:
    """Returns a progress bar with the arguments of `tqdm`."""
    kind = tqdm if sys.stderr.isatty() else _Lines
    return kind(iterable, *args, file=sys.stderr, dynamic_ncols=True, **kwargs)


def write_above(text: str) -> None:
    """Writes a message to stderr, above the bars."""
    if sys.stderr.isatty():
        tqdm.write(text, file=sys.stderr, end="")
    else:
        sys.stderr.write(text)


class _Lines(tqdm):
    """A bar that writes lines: the first after a second, later ones less often."""

    leave: bool | None

    def __init__(self, *args: Any, **kwargs: Any):
        line = "{l_bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
        self._written = kwargs.get("initial", 0)
        super().__init__(*args, bar_format=line, mininterval=_SECONDS[0], miniters=1, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Writes a line if there is progress; returns that there is nothing to erase."""
        if msg is None and self.n != self._written:
            self.fp.write(f"{str(self).strip()}\n")
            self.fp.flush()
            self._written = self.n
            shortest, longest = _SECONDS
            elapsed = self._time() - self.start_t
            self.mininterval = min(max(shortest, _SHARE * elapsed), longest)
        return False

    def close(self) -> None:
        """Writes the last line, unless `leave` is false."""
        if not self.disable and self.leave is not False:
            self.display()
        self.leave = False
        super().close()
