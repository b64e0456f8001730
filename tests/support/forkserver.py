"""Starts `logitkd` processes by forking: TensorFlow is loaded once, not five seconds for each.

Run as a script it loads TensorFlow, of which no operation runs, and answers one line of JSON with
one: `{"start": {...}}` with the process's id, `{"poll": id}` with its exit code or null. A child is
a process like any: own directory, environment, files, signals, exit code and end of interpreter.
"""

import json
import os
import signal
import subprocess
import sys

# What is read when TensorFlow is loaded: a child that wants another value cannot be forked.
READ_AT_IMPORT = ("TF_CPP_", "TF_ENABLE_", "KERAS_", "CUDA_", "XLA_", "OMP_", "PYTHON")


class Server:
    """Forks children on request; they end before it or with it.

    Args:
        environment: dict of variables. Defaults to those of this process.
    """

    def __init__(self, environment=None):
        self._environment = dict(os.environ if environment is None else environment)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )

    def can_start(self, environment):
        """Whether a process with this environment may be a fork."""

        def read(variables):
            return {key: variables[key] for key in variables if key.startswith(READ_AT_IMPORT)}

        return read(environment) == read(self._environment)

    def start(self, arguments, cwd, environment, out, err, tiny):
        """Starts `logitkd ARGUMENTS`; `out` and `err` are files' names. Returns a `Forked`."""
        named = {"cwd": cwd, "environment": environment, "out": out, "err": err, "tiny": tiny}
        return Forked(self, self._ask("start", {"arguments": arguments, **named}))

    def poll(self, pid):
        return self._ask("poll", pid)

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _ask(self, what, value):
        self._process.stdin.write(json.dumps({what: value}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Forked:
    """What tests need of `subprocess.Popen`, for a child of the server."""

    def __init__(self, server, pid):
        self.pid, self.returncode, self._server = pid, None, server

    def poll(self):
        if self.returncode is None:
            self.returncode = self._server.poll(self.pid)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)


def serve():
    """Answers until its standard input ends. In a child it returns the child's request."""
    alive = set()
    for line in sys.stdin:
        ((what, value),) = json.loads(line).items()
        if what == "start":
            answer = os.fork()
            if answer == 0:
                return value
            alive.add(answer)
        else:
            done, status = os.waitpid(value, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if done else None
            alive -= {done}
        print(json.dumps(answer), flush=True)  # noqa: T201
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def become(request):
    """Takes on what the request says, and runs the command line."""
    import numpy as np

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, file in enumerate((os.devnull, request["out"], request["err"])):
        opened = os.open(file, write if number else os.O_RDONLY, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    np.random.seed()
    sys.argv = ["logitkd", *request["arguments"]]
    if request["tiny"]:
        import tiny_zoo

        tiny_zoo.stay()
    main.main()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests and their children.
    import keras  # noqa: F401

    from keras_logitkd.cli import main

    become(serve())
