"""A chief and some workers of KerasTuner's distributed mode, as processes of this machine."""

import os
import pathlib
import time

from keras_logitkd.processes import launcher

MEMBER = "KERASTUNER_TUNER_ID"
CHIEF = "chief"
_RESTARTS = 2
_PATIENCE = 10.0  # seconds after which a chief that is done is believed to be


class WorkerError(Exception):
    """A process of a search ended before the search did."""


def member():
    """Returns the name of this process in a distributed search, or None where there is none.

    Raises:
        ValueError: If some of KerasTuner's three variables are missing.
    """
    names = (MEMBER, "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    missing = [name for name in names if not os.environ.get(name)]
    if len(missing) == len(names):
        return None
    if missing:
        raise ValueError(f"A distributed search needs {', '.join(names)}. Missing: {missing}")
    return os.environ[MEMBER]


def run_members(command, count, log_dir, poll, inherited=()):
    """Runs a command as chief and as workers until all workers are done.

    A worker that is killed is started again, up to two times, and goes on with its trial. Any
    other end of a process ends the search; what was recorded stays.

    Args:
        command: list of strings, the same for all; KerasTuner's variables tell them apart.
        count: of the workers.
        log_dir: where each writes `chief.log`, `worker-0.log`, ...
        poll: function that is called about once a second with lines worth telling.
        inherited: file descriptors that the processes keep open.

    Raises:
        WorkerError: If a process ended too early; the message has its last line.
    """
    team = _Team(command, count, pathlib.Path(log_dir), inherited)
    try:
        while team.work(poll):
            time.sleep(0.5)
    finally:
        team.stop()


class _Team:
    def __init__(self, command, count, log_dir, inherited):
        self._command, self._log_dir, self._inherited = command, log_dir, inherited
        (port,) = launcher.free_ports(1)
        self._variables = {
            "KERASTUNER_ORACLE_IP": launcher.ADDRESS,
            "KERASTUNER_ORACLE_PORT": str(port),
            launcher.THREADS: launcher.share(count),
        }
        self._restarts, self._done_since = 0, None
        self._processes = {}
        for name in (CHIEF, *(f"worker-{number}" for number in range(count))):
            self._start(name)

    def work(self, poll):
        """Looks after the processes once. Returns whether there is a worker still."""
        if self._chief_is_done():
            return False
        for name, process in list(self._processes.items()):
            code = process.poll()
            if name == CHIEF or code is None:
                continue
            if code == 0 or self._done_since is not None:
                del self._processes[name]
            elif code < 0 and self._restarts < _RESTARTS:
                self._restarts += 1
                poll([f"{self._ended(name)}; it is started again"])
                self._start(name)
            else:
                raise WorkerError(self._ended(name))
        poll([])
        return len(self._processes) > 1

    def _chief_is_done(self):
        """Whether the chief has told all workers to stop and they had the time to do so."""
        code = self._processes[CHIEF].poll()
        if code:
            raise WorkerError(self._ended(CHIEF))
        if code == 0 and self._done_since is None:
            self._done_since = time.monotonic()
        return code == 0 and time.monotonic() - self._done_since > _PATIENCE

    def stop(self):
        """Ends what is still running. The chief waits for requests; its state is on disk."""
        launcher.stop([*self._processes.values()])

    def _start(self, name):
        self._processes[name] = launcher.Child(
            self._command,
            {**self._variables, MEMBER: name},
            self._log(name),
            pass_fds=self._inherited,
        )

    def _log(self, name):
        return self._log_dir / f"{name}.log"

    def _ended(self, name):
        process, log = self._processes[name], self._log(name)
        return f"The process {name} ended with {process.ending}. {log} ends with: {process.said}"
