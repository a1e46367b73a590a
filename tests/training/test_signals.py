import contextlib
import os
import signal
import subprocess
import sys

import pytest

from vaeseq.training.signals import (
    Interrupted,
    default_handlers,
    interruptible,
    raise_if_interrupted,
)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_raises_an_exception_with_the_exit_code_of_a_shell(number, code):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as interrupted, interruptible():
        os.kill(os.getpid(), number)
    assert interrupted.value.exit_code == code and isinstance(interrupted.value, KeyboardInterrupt)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_after_the_first_signal_ctrl_c_kills_and_sigterm_is_ignored():
    with interruptible():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)


def test_two_signals_at_once_are_one_interruption(monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: printed.append(args.exc_type))
    both = signal.SIGINT, signal.SIGTERM
    with pytest.raises(Interrupted), interruptible():
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for number in both:
            signal.raise_signal(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)  # both arrive in one call
    assert not printed


def test_a_second_ctrl_c_leaves_at_once():
    saving = """
import signal
from vaeseq.training.signals import Interrupted, interruptible
with interruptible():
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted:
        print("saving", flush=True)
        while True:
            signal.pause()
"""
    command = [sys.executable, "-c", saving]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "saving\n"
        process.send_signal(signal.SIGINT)
        assert process.wait() == -signal.SIGINT


LIBRARY = """
def call(function):
    function()
    happened.append("call ends")

def fail(function):
    call(function)
    raise ValueError
"""


@pytest.mark.parametrize("name", ["call", "fail"])
def test_a_call_into_tensorflow_ends_before_the_exception_is_raised(name):
    happened = []

    def callback():  # Python that TensorFlow calls, such as the body of a tf.function
        signal.raise_signal(signal.SIGTERM)
        happened.append("callback ends")

    @contextlib.contextmanager
    def block():
        try:
            yield
        except BaseException as error:
            happened.append(type(error))
            raise

    library = {"__name__": "tensorflow.python.library", "happened": happened}
    exec(LIBRARY, library)

    def caller():
        with block():
            library[name](callback)
        happened.append("caller goes on")

    with interruptible():
        with pytest.raises(Interrupted) as interrupted:
            caller()
        assert interrupted.value.exit_code == 143
        assert sys.gettrace() is None and sys._getframe().f_trace is None
    assert happened == ["callback ends", "call ends", Interrupted]


def test_an_interruption_that_other_code_swallows_is_raised_again_and_not_printed(monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: printed.append(args.exc_type))

    class Swallows:
        def __del__(self):  # Python only prints what is raised here
            os.kill(os.getpid(), signal.SIGTERM)

    with interruptible(), interruptible():
        raise_if_interrupted()
        Swallows()
        with pytest.raises(Interrupted):
            raise_if_interrupted()
    raise_if_interrupted()

    class Fails:
        def __del__(self):
            raise ValueError

    with interruptible():
        Fails()
    assert printed == [ValueError]


def test_handlers_that_library_code_replaces_are_restored():
    with interruptible():
        with default_handlers():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)


def test_signals_do_not_change_the_exit_code_of_a_process_that_is_ending():
    ending = """
import atexit, os, signal
from vaeseq.training.signals import ignore_at_exit
for number in (signal.SIGINT, signal.SIGTERM):
    atexit.register(os.kill, os.getpid(), number)
ignore_at_exit()
"""
    assert subprocess.run([sys.executable, "-c", ending], check=False).returncode == 0
