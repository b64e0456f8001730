"""kill -9 at random moments of a distillation of the digits: it resumes to the same bytes.

With LOGITKD_FAULTS=full there are fifty moments, and LOGITKD_FAULTS_SEED draws others; else one,
right after a checkpoint in the student's second stage, in a shorter run of tiny networks. Exactness
needs the same number of threads, which all processes here are given. `pytest -rP` shows where each
kill fell.
"""

import csv
import json
import logging
import os
import pathlib
import random
import resource
import shutil
import time
import zipfile

import keras
import numpy as np
import pytest

from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.storage.logit_store import LogitStore

FULL = os.environ.get("LOGITKD_FAULTS") == "full"
KILLS = range(50) if FULL else [15]
SEED = int(os.environ.get("LOGITKD_FAULTS_SEED", "0"))
EPOCHS = ("--teacher-epochs", *(("2", "--epochs", "3") if FULL else ("1", "--epochs", "2")))
COMMAND = (
    "distill", "--student", "wrn-10-1", "--teacher", "resnet-8-1", *EPOCHS, "--batch-size", "32",
    "--examples", "640", "--checkpoint-steps", "4", "--loss", "sequential", "--tau", "3",
    "--alpha", "0.9", "--name", "student", "--resume",
)  # fmt: skip
THREADS = {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}
# Files whose appearance is a moment: `.*` is one that is being written.
TRIGGERS = (
    "runs/.logits/*/.*.npy",
    "runs/student/.*.checkpoint-*.npz",
    "runs/student/.*.student.keras",
    "runs/*resnet*/checkpoint-0-4.json",
    "runs/student/.*.best-*.npz",
    "runs/*resnet*/.*.model.keras",
    "runs/.logits/*/.*.manifest.json",
    "runs/student/checkpoint-1-8.npz",
    "runs/student/.*.checkpoint-*.json",
    "runs/student/.*.metrics.csv",
    "runs/student/student.keras",
    "runs/student/.*.result.json",
)
_PATIENCE = 300.0
_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def begin(request, launch):
    """Starts the command in a directory: in an interpreter of its own, or as a fork."""
    server = None if FULL else request.getfixturevalue("server")
    return lambda place: launch(place, COMMAND, THREADS, server, tiny=not FULL)


@pytest.fixture(scope="module")
def whole(begin, tmp_path_factory):
    """The run that nobody kills: its directory and, unless forked, its processor time."""
    place = tmp_path_factory.mktemp("whole")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, err = begin(place).end()
    assert code == 0, err
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return place, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def moment(number, seconds):
    """(seconds, file form): by processor time, which does not depend on what else the machine does,
    uniform over the whole run; every second one some ms after a file appears.
    """
    chance = random.Random(f"{SEED} {number}")
    if number % 2 == 0:
        return chance.uniform(0, seconds), None
    return chance.choice((0.0, 0.0, chance.uniform(0, 0.02))), TRIGGERS[number // 2 % len(TRIGGERS)]


def wait_for(child, delay, pattern):
    """Waits for the moment, or for the end of the process if that comes first."""
    deadline = time.monotonic() + _PATIENCE
    while pattern and child.process.poll() is None and time.monotonic() < deadline:
        if next(child.directory.glob(pattern), None):
            break
    if pattern:
        time.sleep(delay)
        return
    while child.process.poll() is None and seconds_of(child.process.pid) < delay:
        time.sleep(0.005)


def seconds_of(pid):
    """The processor time that a process has taken."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def phase_of(place):
    """What the process was doing, from what it has left."""
    runs = place / "runs"
    partial = {file.name.split(".", 2)[2] for file in runs.rglob(".[0-9]*.*")}
    if not runs.exists():
        return "data"
    if not list(runs.glob("*resnet*/model.keras")):
        return "saving the teacher" if "model.keras" in partial else "teacher"
    if not list(runs.glob("*resnet*/result.json")):
        return "saving the teacher"
    if any(name.endswith(".npy") or name == "manifest.json" for name in partial):
        return "store filling"
    student = runs / "student"
    if (student / "result.json").exists():
        return "after the end"
    if (student / "student.keras").exists() or partial & {"student.keras", "result.json"}:
        return "final saving"
    if partial:
        return "saving a checkpoint"
    if not list(runs.glob(".logits/*/manifest.json")):
        return "store filling"
    return "training"


def check_files(place):
    """Every file under a final name is whole."""
    for file in (place / "runs").rglob("*"):
        if file.name.startswith(".") or file.is_dir() or "tfevents" in file.name:
            continue  # Unfinished ones, and TensorBoard's log, which grows event by event.
        if file.suffix == ".json":
            assert json.loads(file.read_text()), file
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                assert all(archive[name] is not None for name in archive.files)
        elif file.suffix == ".csv":
            header, *rows = csv.reader(file.read_text().splitlines())
            assert all(len(row) == len(header) for row in rows), file
        elif file.suffix == ".keras":
            keras.saving.load_model(file)
        else:
            assert file.suffix == ".npy", file
    for manifest in (place / "runs" / ".logits").glob("*/manifest.json"):
        store = LogitStore(manifest.parent)
        assert all(len(store.read(view)) for view in store.views)


def archive_of(file):
    """The members of a .keras file; its metadata has the date."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "metadata.json"}


def check_equal(whole, place):
    """Two finished places have the same files with the same content."""
    names = [
        sorted(file.relative_to(root / "runs") for file in files_of(root))
        for root in (whole, place)
    ]
    assert names[0] == names[1]
    for name in names[0]:
        ours, theirs = place / "runs" / name, whole / "runs" / name
        if name.name == "result.json":
            first, second = (json.loads(file.read_text()) for file in (ours, theirs))
            assert first | {"seconds": 0} == second | {"seconds": 0}
        elif name.suffix == ".keras":
            pairs = [keras.saving.load_model(file).get_weights() for file in (ours, theirs)]
            for one, other in zip(*pairs, strict=True):
                np.testing.assert_array_equal(one, other)
            assert archive_of(ours) == archive_of(theirs)
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def files_of(root):
    files = (file for file in (root / "runs").rglob("*") if file.is_file())
    return [file for file in files if "tfevents" not in file.name]


@pytest.mark.parametrize("number", KILLS)
def test_killed_run_resumes_to_the_same_bytes(whole, begin, tmp_path, number):
    expected, seconds = whole
    delay, pattern = moment(number, seconds)
    child = begin(tmp_path)
    wait_for(child, delay, pattern)
    code = child.kill()
    phase = phase_of(tmp_path)
    progress = RunDirectory(tmp_path / "runs", "student").path.glob("checkpoint-*.json")
    places = ", ".join(sorted(file.stem for file in progress)) or "no checkpoint"
    when = (
        f"{delay * 1000:.0f} ms after {pattern}"
        if pattern
        else f"{delay:.2f} of {seconds:.2f} s of processor time"
    )
    _log.warning("kill %d (code %d) at %s: in %s; %s", number, code, when, phase, places)
    check_files(tmp_path)
    started = time.monotonic()
    code, err = begin(tmp_path).end()
    assert code == 0, err
    _log.warning("kill %d resumed in %.1f s", number, time.monotonic() - started)
    check_equal(expected, tmp_path)
    shutil.rmtree(tmp_path)
