"""Ctrl-C and SIGTERM as an exception, so that a run can save and leave from wherever it is."""

import atexit
import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_HANDLED = (signal.SIGINT, signal.SIGTERM)
_received: signal.Signals | None = None


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to stop.

    `exit_code` is what a shell reports of a process that died of it: 130 for Ctrl-C, 143 for
    SIGTERM.
    """

    def __init__(self, received: signal.Signals):
        super().__init__(received.name)
        self.exit_code = 128 + received


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """The first SIGINT or SIGTERM within raises `Interrupted` in the main thread.

    After it a second Ctrl-C stops the process at once, by the system's own means, and a second
    SIGTERM changes nothing: saving is under way. In other threads, and within another
    `interruptible`, this does nothing.
    """
    global _received
    if threading.current_thread() is not threading.main_thread() or _is_ours():
        yield
        return
    _received = None
    before = {number: signal.signal(number, _receive) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_at_exit() -> None:
    """From where Python begins to end the process, signals change nothing.

    The work is done and the exit code known then, but TensorFlow takes a second to leave. To be
    called last: of what is registered with `atexit`, the last runs first.
    """
    for number in _HANDLED:
        atexit.register(signal.signal, number, signal.SIG_IGN)


@contextlib.contextmanager
def default_handlers() -> Iterator[None]:
    """Within, signals end the process by the system's own means.

    For library code that blocks where no Python runs, with nothing to save yet. What it has done
    to the signals' handlers is undone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def was_interrupted() -> bool:
    """Whether a signal has come: what fails after it may fail for that."""
    return _received is not None and _is_ours()


def raise_if_interrupted() -> None:
    """Raises `Interrupted` again where other code has swallowed it, as Python does in `__del__`."""
    if _received is not None and was_interrupted():
        raise Interrupted(_received)


def _is_ours() -> bool:
    return signal.getsignal(signal.SIGTERM) in (_receive, signal.SIG_IGN)


def _receive(number: int, _: Any) -> None:
    global _received
    _received = signal.Signals(number)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted(_received)
