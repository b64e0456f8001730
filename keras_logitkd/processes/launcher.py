"""Processes of this machine that work for this one: start, what they said, and their end."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

from keras_logitkd.processes import interrupts

ADDRESS = "127.0.0.1"
THREADS = "TF_NUM_INTRAOP_THREADS"  # environment variable: threads of an operation
# Linux's OOM killer sends the first; TensorFlow ends with the others where it finds no memory.
_NO_MEMORY = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)


class Child(subprocess.Popen):
    """A process that works for this one, which alone hears Ctrl-C and tells it.

    Args:
        command: list of strings.
        variables: dict of environment variables beside this process's own.
        log: path of the file to which its output and errors are added. Defaults to None: they are
            shown.
        **options: of `subprocess.Popen`; they take the place of the log and of an empty input.
    """

    def __init__(self, command, variables, log=None, **options):
        environment = {**os.environ, interrupts.PARENT: str(os.getpid()), **variables}
        self._log = log
        with open(os.devnull if log is None else log, "a") as file:
            output = None if log is None else file
            given = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **options}
            super().__init__(command, env=environment, start_new_session=True, **given)

    @property
    def said(self):
        """The last line of its log."""
        lines = pathlib.Path(self._log).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    @property
    def ending(self):
        """How it ended, see `ending`."""
        return ending(self.returncode)


def ending(code):
    """Says how another process ended, whose `returncode` is given."""
    if code >= 0:
        return f"exit code {code}"
    number = signal.Signals(-code)
    return f"signal {number.name}{' (too little memory?)' if number in _NO_MEMORY else ''}"


def stop(children, patience=interrupts.STOP_PATIENCE, ask=True):
    """Ends processes, and waits until they have ended.

    Args:
        children: list of `Child`.
        patience: seconds after which those that are left are killed. Defaults to what a training
            needs to save a checkpoint.
        ask: whether they are sent SIGTERM before. Defaults to True.
    """
    for child in children if ask else ():
        child.terminate()
    deadline = time.monotonic() + patience
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
        child.kill()
        child.wait()


def share(count):
    """Returns how many threads, as text, each of some processes gets of this machine's cores."""
    return str(max(1, (os.cpu_count() or 1) // count))


def free_ports(count):
    """Returns ports that are free now; all are held until the last is found: they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((ADDRESS, 0))
        return [each.getsockname()[1] for each in sockets]
