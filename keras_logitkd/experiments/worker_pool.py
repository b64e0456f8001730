"""Processes that run cells, one at a time each, and are replaced when they die."""

import json
import os
import pathlib
import queue
import subprocess
import sys
import time

from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.processes import interrupts

_PATIENCE = 60.0  # seconds in which a worker has to finish its step and its checkpoint


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
        threads = str(max(1, (os.cpu_count() or 1) // size))
        self._environment = {
            **os.environ,
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            interrupts.PARENT: str(os.getpid()),
        }
        self.log_file = pathlib.Path(workspace_config["runs_dir"]) / ".workers.log"
        for _ in range(size):
            self._idle.put(None)

    def __enter__(self):
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log_file.open("ab")
        return self

    def __exit__(self, *error):
        for worker in self._all:
            worker.terminate()
        deadline = time.monotonic() + _PATIENCE
        for worker in self._all:
            try:
                worker.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._log.close()

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
            how = interrupts.ending(worker.wait())
            return Failure(f"its process ended with {how}; see {self.log_file}")
        return Failure(reply["failure"]) if "failure" in reply else reply["result"]

    def _start(self):
        worker = subprocess.Popen(
            # -P: a file of the user's that is called like a module stays out of the way.
            [sys.executable, "-P", "-m", "keras_logitkd.experiments.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environment,
            text=True,
            process_group=0,  # Ctrl-C is for this process, which tells its workers.
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
