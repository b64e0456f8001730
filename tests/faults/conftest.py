"""The command line in processes of its own, which can be stopped, killed and starved."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import forkserver
import pytest

_COMMAND = "from keras_logitkd.cli.main import main; main()"
_PATIENCE = 300.0


def pytest_collection_modifyitems(items):
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("faults")


@pytest.fixture(autouse=True)
def sigint_is_heard():
    """What a shell puts in the background ignores SIGINT, and so do its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Child:
    """One `logitkd` process; what it prints is in files.

    Args:
        directory: where it runs.
        arguments: those of the command line.
        environment: dict of variables that it has besides ours.
        server: the `forkserver.Server` that forks it; None for an interpreter of its own.
        tiny: whether its networks are the tiny ones.
    """

    def __init__(self, directory, arguments, environment=None, server=None, tiny=False):
        self.out, self.err = directory / "out.txt", directory / "err.txt"
        self.directory = directory
        arguments = [*map(str, arguments)]
        environment = {**os.environ, **(environment or {})}
        if server is not None and server.can_start(environment):
            files = str(self.out), str(self.err)
            self.process = server.start(arguments, str(directory), environment, *files, tiny)
            return
        assert not tiny
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *arguments],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
            )

    def until(self, happened):
        """Waits until a function of nothing returns something true, and returns that."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if found := happened():
                return found
            if self.process.poll() is not None:
                pytest.fail(f"it ended with {self.process.returncode}: {self.err.read_text()}")
            time.sleep(0.002)
        self.kill()
        pytest.fail(f"it did not happen in {_PATIENCE} s: {self.err.read_text()}")

    def until_file(self, pattern):
        """Waits until there is a file of this form below its directory."""
        return self.until(lambda: next(self.directory.glob(pattern), None))

    def kill(self):
        """Ends it as a power cut would, if it has not ended yet."""
        self.process.send_signal(signal.SIGKILL)
        return self._wait()

    def end(self):
        """Waits for its end. Returns the exit code and what it said on stderr."""
        return self._wait(), self.err.read_text()

    def _wait(self):
        deadline = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it has not ended in {_PATIENCE} s"
            time.sleep(0.005)
        return self.process.returncode


@pytest.fixture(scope="session")
def server():
    """Has TensorFlow loaded and forks children."""
    server = forkserver.Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def launch():
    """The class `Child`: who starts one ends it."""
    return Child


@pytest.fixture
def start(server, tmp_path):
    """Starts a `Child`, by default where the test is; what is left of them is killed at the end."""
    children = []

    def start(*arguments, directory=tmp_path, **named):
        children.append(Child(directory, arguments, **{"server": server, **named}))
        return children[-1]

    yield start
    for child in children:
        if child.process.poll() is None:
            child.kill()
