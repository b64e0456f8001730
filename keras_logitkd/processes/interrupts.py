"""SIGINT (Ctrl-C) and SIGTERM: a training finishes its step and its checkpoint before it ends.

Elsewhere the first signal raises `Interrupted` at once. A second one ends the process on the spot,
except where the process works for another one, which then decides how long it may take.
"""

import contextlib
import os
import signal
import threading
import time

PARENT = "LOGITKD_PARENT"  # environment variable of processes that work for another one
STOP_PATIENCE = 60.0  # seconds in which a process has to finish its step and its checkpoint
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal asks the process to end.

    Args:
        number: of the signal.
        place: what is done by then, for people. Defaults to nothing.
    """

    def __init__(self, number, place=""):
        super().__init__(f"stopped by {signal.Signals(number).name}{place and f' after {place}'}")
        self.exit_code = 128 + number


class _State:
    """What is known about signals; there is one set of handlers in a process."""

    handled, finishing, received = False, False, None


@contextlib.contextmanager
def handling():
    """Handles the signals inside, where nobody does yet; only a process's main thread can."""
    if _State.handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    # A signal that the process was told to ignore, as by nohup, stays ignored.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _handle) for number in heeded}
    _State.handled = True
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _State.handled, _State.received = False, None


@contextlib.contextmanager
def finishing():
    """Inside, a signal waits for `check`."""
    with _finishing(True):
        yield
    check()


@contextlib.contextmanager
def interruptible():
    """A part of `finishing` where nothing is lost: a signal raises at once there."""
    check()
    with _finishing(False):
        yield


def end_with_parent():
    """Ends this process when the one that it works for is gone, so that none is left behind."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return

    def watch():
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def requested():
    """Returns whether a signal is waiting."""
    return _State.received is not None


def check(place=""):
    """Raises `Interrupted` if a signal is waiting; `place` says for people what is done."""
    if requested():
        raise Interrupted(_State.received, place)


@contextlib.contextmanager
def _finishing(value):
    before, _State.finishing = _State.finishing, value
    try:
        yield
    finally:
        _State.finishing = before


def _handle(number, frame):
    if requested():
        if PARENT not in os.environ:
            os._exit(128 + number)
        return
    _State.received = number
    if not _State.finishing:
        raise Interrupted(number)
