"""Two processes that want the same run."""

import json
import logging
import math
import os
import pathlib
import shutil
import signal
import threading
import time

import pytest

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.storage.atomic import StorageError
from keras_logitkd.storage.lock import LockedError, RunLock

pytestmark = pytest.mark.usefixtures("tiny_networks")

TRAIN = ("train", "--model", "wrn-10-1", "--dataset", "npz:tiny.npz", "--batch-size", "16")
NAMED = (*TRAIN, "--epochs", "60", "--name", "r")


def test_lock_says_who_holds_it_and_ends_with_its_holder(tmp_path):
    with RunLock(tmp_path).held():
        said = json.loads((tmp_path / ".lock").read_text())
        assert said["pid"] == os.getpid()
        with (
            pytest.raises(LockedError, match=f"in use by process {os.getpid()} on .*, started 2"),
            RunLock(tmp_path).held(),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
    with RunLock(tmp_path).held():
        pass


def test_waiting_takes_over_when_the_holder_is_done(tmp_path, caplog):
    released = []

    def work():
        with RunLock(tmp_path).held():
            started.set()
            time.sleep(0.3)
            released.append(time.monotonic())

    started = threading.Event()
    other = threading.Thread(target=work)
    other.start()
    started.wait()
    with RunLock(tmp_path).held(math.inf):
        assert time.monotonic() >= released[0]
    other.join()
    assert "waiting for it" in caplog.text


@pytest.mark.parametrize("left", ['{"pid": 1', "", '{"pid": 999999, "host": "h", "started": "s"}'])
def test_what_a_dead_holder_left_is_taken_over(tmp_path, left, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / ".lock").write_text(left)
    with RunLock(tmp_path).held():
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert ("process 999999 on h" in caplog.text) == ("999999" in left)


def test_removed_directory_is_noticed_even_if_another_run_is_there_now(tmp_path):
    run = RunDirectory(tmp_path, "r")
    with run.locked():
        run.check_lock()
        shutil.rmtree(run.path)
        with pytest.raises(StorageError, match="was removed while"):
            run.check_lock()
        with RunDirectory(tmp_path, "r").locked(), pytest.raises(StorageError, match="removed"):
            run.check_lock()


def test_the_second_is_refused_and_a_dead_one_is_followed(run_on_tiny, start, caplog):
    child = start(*NAMED, tiny=True)
    child.until_file("runs/r/checkpoint-*.json")
    code, out, err = run_on_tiny(*NAMED, "--resume")
    assert (code, out) == (2, "")
    assert f"logitkd: error: runs/r is in use by process {child.process.pid} on " in err
    assert len(err.splitlines()) == 1
    assert child.process.poll() is None
    child.process.send_signal(signal.SIGKILL)
    child.end()
    code, _, err = run_on_tiny(*NAMED, "--resume")
    assert code == 0, err
    assert f"r was left by process {child.process.pid} on" in caplog.text
    assert not pathlib.Path("runs/r/.lock").exists()


@pytest.mark.slow
def test_two_students_share_a_teacher_that_neither_has(run_on_tiny, start, caplog):
    arguments = (
        "distill", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "40",
        "--dataset", "npz:tiny.npz", "--epochs", "1", "--batch-size", "16",
    )  # fmt: skip
    first = start(*arguments, "--seed", "0", tiny=True)
    first.until_file("runs/*resnet*/.lock")
    code, _, err = run_on_tiny(*arguments, "--seed", "1")
    assert code == 0, err
    assert f"is in use by process {first.process.pid} on" in caplog.text
    assert "waiting for it" in caplog.text
    assert first.end()[0] == 0
    assert len(list(pathlib.Path("runs").glob("*resnet*/model.keras"))) == 1
    assert len(list(pathlib.Path("runs").glob("*/student.keras"))) == 2
    assert not list(pathlib.Path("runs").glob("*/.lock"))
