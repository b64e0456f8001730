"""A process that runs cells: `python -m keras_logitkd.experiments.worker`, see `WorkerPool`.

It reads lines of JSON, first the workspace and then cells, and answers each with one line. When its
input ends, because the sweep is over or was killed, it ends like after a SIGTERM: a training saves
a checkpoint first.
"""

import json
import os
import queue
import signal
import sys
import threading

from keras_logitkd.processes import interrupts


def main():
    """Answers until the input ends."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    messages = queue.SimpleQueue()
    threading.Thread(target=_read, args=(messages,), daemon=True).start()
    with interrupts.handling():
        try:
            _answer(messages, answers)
        except interrupts.Interrupted as error:
            sys.exit(error.exit_code)


def _answer(messages, answers):
    # Imported here: what TensorFlow says while it loads belongs after the redirection above.
    from keras_logitkd.experiments.cell_order import Failure
    from keras_logitkd.experiments.sweep import run_cell
    from keras_logitkd.runs.spec.cell import Cell
    from keras_logitkd.runs.workspace import Workspace

    workspace = None
    while True:
        message, answer = messages.get(), {}
        if "workspace" in message:
            workspace = Workspace.from_config(message["workspace"])
        else:
            outcome = run_cell(workspace, Cell.from_config(message["cell"]))
            failed = isinstance(outcome, Failure)
            answer = {"failure": outcome.message} if failed else {"result": outcome}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _read(messages):
    """Reads ahead, so that the end of the input is seen while a cell runs."""
    for line in sys.stdin:
        messages.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
