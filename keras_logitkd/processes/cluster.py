"""Which machines train together, as TF_CONFIG says, and worker processes on this one for trying it.

Nothing here needs TensorFlow.
"""

import collections
import json
import os
import re
import signal
import tempfile
import time

from keras_logitkd.processes import launcher

VARIABLE = "TF_CONFIG"
LOST = 75  # exit code of a launched worker that lost another one: the launcher says which
_PATIENCE = 10.0  # seconds in which a process has to end
_JOBS = ("chief", "worker")
_DEVICES = re.compile(r"auto|cpu(:[1-9]\d?)?|gpu(:\d+(,\d+)*)?")

Task = collections.namedtuple("Task", ["rank", "workers"])
Task.__doc__ = "This process among the `workers` of a job, the chief being rank 0."


class WorkerLostError(Exception):
    """A process of a training over several workers ended before the training did."""


def check_devices(spec):
    """Raises ValueError where a specification of devices is of no form that `Devices` knows."""
    if not _DEVICES.fullmatch(spec):
        raise ValueError(
            f"`devices` must be auto, cpu, cpu:N (N up to 99), gpu or gpu:I,J. Received: {spec!r}"
        )


def task():
    """Returns the `Task` of this process by TF_CONFIG, or None where it trains alone.

    Raises:
        ValueError: If TF_CONFIG is not what TensorFlow takes, or names other tasks than chief and
            workers.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster, own = config["cluster"], config["task"]
        jobs = {job: list(addresses) for job, addresses in cluster.items()}
        job, index = own["type"], int(own["index"])
        inside = 0 <= index < len(jobs[job])
    except (ValueError, KeyError, TypeError, AttributeError):
        inside = False
    if not inside or not set(jobs) <= set(_JOBS):
        raise ValueError(
            f"{VARIABLE} must be JSON with a cluster of chief and workers and the task of this "
            'process, such as {"cluster": {"worker": ["a:12345", "b:12345"]}, "task": {"type": '
            f'"worker", "index": 0}}}}. Received: {text}'
        )
    chiefs = len(jobs.get("chief", ()))
    workers = chiefs + len(jobs.get("worker", ()))
    if workers == 1:
        return None
    return Task(index if job == "chief" else chiefs + index, workers)


def launch(command, workers):
    """Runs workers on this machine until the chief, whose output is shown, has ended.

    What the others print is dropped, but for the last line of one that fails. Whichever ends too
    early, the others are ended, too. An interruption or SIGTERM is passed to the chief, which
    decides where training stops.

    Args:
        command: list of strings, the same for all; TF_CONFIG tells them apart.
        workers: how many.

    Returns:
        The exit code of the chief.

    Raises:
        WorkerLostError: If another worker ended before the chief, or a signal killed the chief.
    """
    with tempfile.TemporaryDirectory(prefix="logitkd-workers-") as logs:
        team = _Team(command, workers, logs)
        handlers = {number: signal.signal(number, team.signal) for number in _PASSED}
        try:
            return team.wait()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            team.stop()


_PASSED = (signal.SIGINT, signal.SIGTERM)
_ADVICE = "Run it again with --resume to go on"


class _Team:
    def __init__(self, command, workers, logs):
        addresses = [f"{launcher.ADDRESS}:{port}" for port in launcher.free_ports(workers)]
        threads = os.environ.get(launcher.THREADS, launcher.share(workers))
        self._processes = []
        for rank in range(workers):
            own = {"type": "worker", "index": rank}
            variables = {
                launcher.THREADS: threads,
                VARIABLE: json.dumps({"cluster": {"worker": addresses}, "task": own}),
            }
            log = os.path.join(logs, str(rank)) if rank else None
            self._processes.append(launcher.Child(command, variables, log))

    def wait(self):
        chief, *others = self._processes
        while (code := chief.poll()) is None:
            self._check(others)
            time.sleep(0.1)
        if code == LOST:
            self._check(others)
            raise WorkerLostError(f"A worker was lost. {_ADVICE}")
        if code < 0:
            raise WorkerLostError(
                f"The chief of {len(self._processes)} workers ended with {chief.ending}; the "
                f"others were ended, too. {_ADVICE}"
            )
        return code

    def _check(self, others):
        for rank, process in enumerate(others, start=1):
            if process.poll():
                raise WorkerLostError(
                    f"Worker {rank} of {len(self._processes)} ended with {process.ending}; the "
                    f"others were ended, too. {_ADVICE}. It last said: {process.said}"
                )

    def signal(self, number, frame):
        self._processes[0].send_signal(number)

    def stop(self):
        """Ends the processes; when the chief has finished, the others are about to end as well.

        Nothing is lost: the chief's files are whole at any moment.
        """
        patience = _PATIENCE if self._processes[0].poll() == 0 else 0.0
        launcher.stop(self._processes, patience, ask=False)
