"""Processes that run cells, one at a time each, and are replaced when they die."""

import json
import pathlib
import queue
import subprocess
import sys

from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.processes import launcher


class WorkerPool:
    """Worker processes for the cells of a sweep; they are started when they are needed.

    Each gets its share of the cores, so that together they do not ask for more than there are.
    What they say on standard error is kept in a file beside the runs.

    Args:
        workspace_config: what `Workspace.to_config` returned.
        size: number of processes.
    """

    def __init__(self, workspace_config, size):
        self._config = workspace_config
        self._idle = queue.SimpleQueue()
        self._all = []
        threads = launcher.share(size)
        self._variables = {
            launcher.THREADS: threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.log_file = pathlib.Path(workspace_config["runs_dir"]) / ".workers.log"
        for _ in range(size):
            self._idle.put(None)

    def __enter__(self):
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error):
        launcher.stop(self._all)

    def run(self, cell):
        """Runs a cell in a free process. Returns its result, a dict, or a `Failure`."""
        worker = self._idle.get()
        if worker is None or worker.poll() is not None:
            worker = self._start()
        try:
            reply = _ask(worker, {"cell": cell.to_config()})
        finally:
            self._idle.put(worker)
        if reply is None:
            worker.wait()
            return Failure(f"its process ended with {worker.ending}; see {self.log_file}")
        return Failure(reply["failure"]) if "failure" in reply else reply["result"]

    def _start(self):
        worker = launcher.Child(
            # -P: a file of the user's that is called like a module stays out of the way.
            [sys.executable, "-P", "-m", "keras_logitkd.experiments.worker"],
            self._variables,
            self.log_file,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._all.append(worker)
        _ask(worker, {"workspace": self._config})
        return worker


def _ask(worker, message):
    """Sends a line of JSON. Returns the line that answers, or None from a process that ended."""
    try:
        worker.stdin.write(json.dumps(message) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    line = worker.stdout.readline()
    return json.loads(line) if line else None
