"""Ctrl-C and SIGTERM as an exception, so that a run can be saved before the program ends."""

import atexit
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_HANDLED = (signal.SIGINT, signal.SIGTERM)
_received: signal.Signals | None = None


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to stop.

    `exit_code` is the code by which a shell reports a process that died of the signal: 130 for
    Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, received: signal.Signals):
        super().__init__(received.name)
        self.exit_code = 128 + received


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Makes the first SIGINT or SIGTERM raise `Interrupted` in the main thread.

    The exception is never raised inside TensorFlow: a call into it ends first. Otherwise the
    exception would break TensorFlow's cache of traced functions, or, rarely, crash the process.

    Afterwards the program is saving: a second Ctrl-C kills it immediately, a second SIGTERM is
    ignored. The context has no effect in other threads or inside another `interruptible`.
    """
    global _received
    if threading.current_thread() is not threading.main_thread() or _is_ours():
        yield
        return
    _received = None
    before = {number: signal.signal(number, _receive) for number in _HANDLED}
    hook = sys.unraisablehook

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Interrupted):  # that one is raised again
            hook(unraisable)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_at_exit() -> None:
    """Ignores signals from the moment Python begins to end the process.

    The work is done by then and the exit code is known, but TensorFlow takes a second to shut down.
    Call it last: of the functions registered with `atexit`, the last one runs first.
    """
    for number in _HANDLED:
        atexit.register(signal.signal, number, signal.SIG_IGN)


@contextlib.contextmanager
def default_handlers() -> Iterator[None]:
    """Makes signals kill the process, as without Python's handlers.

    It is for library code that blocks while no Python runs, when there is nothing to save yet. The
    handlers that were set before are restored, even if the library code replaces them.
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
    """Returns whether a signal has arrived, which may have caused a later error."""
    return _received is not None and _is_ours()


def raise_if_interrupted() -> None:
    """Raises `Interrupted` again if other code swallowed it, as Python does in `__del__`."""
    if _received is not None and was_interrupted():
        raise Interrupted(_received)


def _is_ours() -> bool:
    return signal.getsignal(signal.SIGTERM) in (_receive, _ignore)


def _receive(number: int, frame: FrameType | None) -> None:
    global _received
    _received = signal.Signals(number)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _ignore)
    if callers := _callers_of_tensorflow(frame):
        _raise_on_return(callers, Interrupted(_received))
    else:
        raise Interrupted(_received)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Does nothing. (Python complains about SIG_IGN if a second signal has already arrived.)"""


def _callers_of_tensorflow(frame: FrameType | None) -> list[FrameType]:
    """Returns the frames that wait for TensorFlow; none if it is not running."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    inside = [n for n, frame in enumerate(frames) if _is_tensorflow(frame)]
    return frames[inside[-1] + 1 :] if inside else []


def _is_tensorflow(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "tensorflow"


def _raise_on_return(frames: list[FrameType], error: Interrupted) -> None:
    """Raises the error as soon as one of these frames goes on.

    It is raised in the statement that waits for TensorFlow, so inside its `with` and `try` blocks.
    """

    def trace(*_: object) -> None:
        sys.settrace(None)
        for frame in frames:
            frame.f_trace, frame.f_trace_opcodes = None, False
        raise error

    for frame in frames:
        frame.f_trace, frame.f_trace_opcodes = trace, True
    sys.settrace(lambda *_: None)  # frames that begin from now on are not traced
