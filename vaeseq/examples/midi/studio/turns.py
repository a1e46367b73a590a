"""Turns at the model: one request at a time, and only few that wait."""

import contextlib
import threading
from collections.abc import Iterator


class Busy(Exception):
    """Too many requests wait already."""


class Turns:
    """Gives one thread at a time its turn.

    Args:
      most_waiting: how many threads may wait for their turn.
    """

    def __init__(self, most_waiting: int = 8):
        self._places = threading.Semaphore(1 + most_waiting)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Waits for a turn, and has it in this context.

        Raises:
          Busy: if too many threads wait already.
        """
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            with self._lock:
                yield
        finally:
            self._places.release()

    def end(self) -> None:
        """Takes the last turn, when the one before ends: whoever waits, waits for ever."""
        self._lock.acquire()

    @contextlib.contextmanager
    def take_in_background(self) -> Iterator[None]:
        """Waits for a turn without taking the place of a request."""
        with self._lock:
            yield
