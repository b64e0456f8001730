"""The command line in processes of its own, which can be stopped, killed and starved."""

import os
import pathlib
import signal
import subprocess
import sys
import time

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
    """One `logitkd` process; what it prints is in files."""

    def __init__(self, directory, arguments, environment=None, prefix=(), before=None):
        self.out, self.err = directory / "out.txt", directory / "err.txt"
        self.directory = directory
        command = [*prefix, sys.executable, "-c", _COMMAND, *map(str, arguments)]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(environment or {})},
                preexec_fn=before,
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
        self.process.kill()
        pytest.fail(f"it did not happen in {_PATIENCE} s: {self.err.read_text()}")

    def until_file(self, pattern):
        """Waits until there is a file of this form below its directory."""
        return self.until(lambda: next(self.directory.glob(pattern), None))

    def kill(self):
        """Ends it as a power cut would, if it has not ended yet."""
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait(_PATIENCE)

    def end(self):
        """Waits for its end. Returns the exit code and what it said on stderr."""
        return self.process.wait(_PATIENCE), self.err.read_text()


@pytest.fixture(scope="session")
def launch():
    """The class `Child`: who starts one ends it."""
    return Child


@pytest.fixture
def start(tmp_path):
    """Starts a `Child`, by default where the test is; what is left of them is killed at the end."""
    children = []

    def start(*arguments, directory=tmp_path, **named):
        children.append(Child(directory, arguments, **named))
        return children[-1]

    yield start
    for child in children:
        if child.process.poll() is None:
            child.kill()
