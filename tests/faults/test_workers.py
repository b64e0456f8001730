"""A worker that dies ends the others; started again, they end as if nothing had happened."""

import os
import pathlib
import signal
import time

import numpy as np
import pytest

STUDENT = ("--student", "wrn-10-1", "--teacher", "own.keras", "--dataset", "npz:tiny.npz")
RECIPE = ("--loss", "kl", "--epochs", "3", "--batch-size", "15", "--learning-rate", "0.005")
COMMAND = ("distill", *STUDENT, *RECIPE, "--workers", "2", "--sync-batch-norm", "--name", "run")


def children(process):
    return list(
        map(int, pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split())
    )


def is_alive(process):
    try:
        state = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def check_same(first, second):
    assert (first / "metrics.csv").read_bytes() == (second / "metrics.csv").read_bytes()
    import keras

    for one, other in zip(
        *(keras.saving.load_model(run / "student.keras").get_weights() for run in (first, second)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("own_teacher")
@pytest.mark.parametrize("victim", [0, 1])
def test_worker_that_is_killed_ends_the_others_and_resumes_to_the_same_bytes(
    start, tmp_path, victim
):
    child = start(*COMMAND, "--runs-dir", "killed")
    child.until_file("killed/run/checkpoint*")
    workers = children(child.process.pid)
    assert len(workers) == 2
    killed = time.monotonic()
    os.kill(workers[victim], signal.SIGKILL)
    code, said = child.end()
    assert time.monotonic() - killed < 60
    assert code == 1
    lines = [line for line in said.splitlines() if "error" in line]
    assert len(lines) == 1, said
    assert "SIGKILL" in lines[0]
    assert "--resume" in lines[0]
    assert not any(map(is_alive, workers))
    assert start(*COMMAND, "--runs-dir", "killed", "--resume").end()[0] == 0
    assert start(*COMMAND, "--runs-dir", "whole").end()[0] == 0
    check_same(tmp_path / "killed" / "run", tmp_path / "whole" / "run")


@pytest.mark.slow
@pytest.mark.usefixtures("own_teacher")
def test_sigterm_ends_all_workers_at_a_checkpoint(start, tmp_path):
    child = start(*COMMAND, "--runs-dir", "stopped", "--epochs", "200")
    child.until_file("stopped/run/checkpoint*")
    workers = children(child.process.pid)
    child.process.send_signal(signal.SIGTERM)
    code, said = child.end()
    assert code == 128 + signal.SIGTERM
    assert "SIGTERM" in said
    assert not any(map(is_alive, workers))
