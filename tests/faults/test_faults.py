"""What can go wrong around a run, provoked for real: one line, and nothing saved is lost."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

import fit
import numpy as np
import pytest
from PIL import Image

from keras_logitkd.cli.progress import TrainingProgress
from keras_logitkd.data import catalog
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage.errors import DataError

tiny_networks = pytest.mark.usefixtures("tiny_networks")
QUICK = ("--dataset", "npz:tiny.npz", "--batch-size", "16", "--pad", "0", "--no-flip")
TRAIN = ("train", "--model", "wrn-10-1", *QUICK, "--epochs", "3", "--name", "r")


def metrics(runs_dir):
    return pathlib.Path(runs_dir, "r", "metrics.csv").read_bytes()


def one_line_of(err):
    """The error among the lines of progress."""
    (line,) = [line for line in err.splitlines() if line.startswith("logitkd: ")]
    assert "Traceback" not in err
    return line


def at_epoch(monkeypatch, epoch, action):
    """Does something when an epoch of the next training begins."""
    original = TrainingProgress.on_epoch_begin

    def on_epoch_begin(self, now, logs=None):
        if now == epoch:
            action()
        return original(self, now, logs)

    monkeypatch.setattr(TrainingProgress, "on_epoch_begin", on_epoch_begin)


def system(*command):
    """Runs a command of the system, or skips the test where that is not allowed here."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, and the function that gives it another size."""
    place = tmp_path / "small"
    place.mkdir()
    system("mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place))
    yield place, lambda size: system("mount", "-o", f"remount,size={size}", str(place))
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_full_disk_keeps_the_last_checkpoint_and_goes_on_with_room(run_on_tiny, small_disk):
    place, resize = small_disk
    code, out, err = run_on_tiny(*TRAIN, "--runs-dir", place)
    assert (code, out) == (1, "")
    line = one_line_of(err)
    assert "No space left on device; make room for it" in line
    assert str(place / "r") in line
    names = {file.name for file in (place / "r").iterdir()}
    assert not [name for name in names if name[:2] in (".1", ".2", ".3", ".4", ".5", ".6")]
    with np.load(place / "r" / "checkpoint-1-0.npz", allow_pickle=False) as archive:
        assert archive.files
    resize("20m")
    code, _, err = run_on_tiny(*TRAIN, "--runs-dir", place, "--resume")
    assert code == 0, err
    assert "epoch 1/3" not in err
    assert run_on_tiny(*TRAIN)[0] == 0
    assert metrics(place) == metrics("runs")


@tiny_networks
def test_no_room_for_logits_is_said_before_the_first_step(run_on_tiny, own_teacher, small_disk):
    place, _ = small_disk
    command = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", *QUICK)
    code, _, err = run_on_tiny(*command, "--epochs", "1", "--cache-dir", place / "logits")
    assert code == 2
    assert "lower --views, or run with --no-cache" in one_line_of(err)


@tiny_networks
def test_directory_that_is_removed_ends_the_run(run_on_tiny, monkeypatch):
    at_epoch(monkeypatch, 1, lambda: shutil.rmtree("runs/r"))
    code, _, err = run_on_tiny(*TRAIN)
    assert code == 1
    assert "The run directory runs/r was removed while the run was using it" in one_line_of(err)
    assert not pathlib.Path("runs/r").exists()


@tiny_networks
def test_directory_that_becomes_read_only_ends_the_run(run_on_tiny, monkeypatch):
    def change(flag):
        system("chattr", flag, "runs/r")

    pathlib.Path("probe").mkdir()
    system("chattr", "+i", "probe")
    system("chattr", "-i", "probe")
    try:
        with monkeypatch.context() as patch:
            at_epoch(patch, 1, lambda: change("+i"))
            code, _, err = run_on_tiny(*TRAIN)
    finally:
        change("-i")
    assert code == 1
    assert "cannot be written: Operation not permitted" in one_line_of(err)
    assert pathlib.Path("runs/r/checkpoint-1-0.npz").is_file()
    code, _, err = run_on_tiny(*TRAIN, "--resume")
    assert code == 0, err
    assert "epoch 1/3" not in err


@tiny_networks
def test_loss_that_is_not_finite_names_the_step_and_keeps_what_was_good(run_on_tiny):
    command = (*TRAIN[:-2], "--learning-rate", "1e8", "--checkpoint-steps", "1", "--name", "r")
    code, _, err = run_on_tiny(*command)
    assert code == 1
    line = one_line_of(err)
    assert " in step " in line or "stopped being finite" in line
    assert "Lower the learning rate (--learning-rate)" in line
    for file in pathlib.Path("runs/r").glob("checkpoint-*.npz"):
        with np.load(file, allow_pickle=False) as archive:
            assert all(np.isfinite(archive[name]).all() for name in archive.files)


@pytest.mark.slow
@tiny_networks
def test_clock_that_goes_backwards_changes_nothing(run_on_tiny, monkeypatch):
    assert run_on_tiny(*TRAIN)[0] == 0
    now = [2e9]

    def backwards():
        now[0] -= 1000.0
        return now[0]

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", backwards)
        patch.setattr(time, "time_ns", lambda: int(backwards() * 1e9))
        code, _, err = run_on_tiny(*TRAIN, "--runs-dir", "back")
    assert code == 0, err
    results = [
        json.loads(pathlib.Path(d, "r", "result.json").read_text()) for d in ("runs", "back")
    ]
    assert 0 < results[1]["seconds"] < 600
    assert results[0] | {"seconds": 0} == results[1] | {"seconds": 0}
    assert metrics("runs") == metrics("back")


def varying_images(root, count=12):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("a", "b"):
            folder = root / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                side = 16 + number % 3
                pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


@tiny_networks
def test_image_that_breaks_is_named(run_on_tiny):
    varying_images(pathlib.Path("images"))
    file = pathlib.Path("images/train/b/7.png")
    file.write_bytes(file.read_bytes()[:200])  # its header is whole
    code, _, err = run_on_tiny(
        "train", "--model", "wrn-10-1", "--dataset", "folder:images", "--resized-crop", "8",
        "--batch-size", "8", "--epochs", "1", "--validation", "0", "--std", "1,1,1",
        "--mean", "0,0,0",
    )  # fmt: skip
    assert code == 2
    assert "images: train/b/7.png" in one_line_of(err)


@tiny_networks
def test_record_that_breaks_during_a_training_is_named(tmp_path, capsys):
    from keras_logitkd.data import importers

    root = tmp_path / "npz"
    root.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8)
    np.savez(root / "d.npz", images=images, labels=np.arange(40) % 4)
    importers.import_dataset("npz", root / "d.npz", "breaking", tmp_path / "store")
    dataset = catalog.load("breaking", tmp_path / "store", memory_budget=0)
    for file in (tmp_path / "store").rglob("*.tfrecord*"):
        data = bytearray(file.read_bytes())
        for position in range(200, len(data) - 100, 150):
            data[position] ^= 0xFF
        file.write_bytes(data)
    recipe = Recipe(epochs=1, batch_size=8, validation=0.0, mean=(0.5,), std=(0.5,))
    settings = RunSettings(model="wrn-10-1", dataset="breaking", recipe=recipe)
    with pytest.raises(DataError, match=r"^The record at byte \d+ of .* is damaged") as caught:
        fit.run(settings, dataset, RunDirectory(tmp_path, "r"))
    assert "\n" not in str(caught.value)


_STARVE = """
import resource, sys
import tensorflow as tf
tf.constant(1.0) + 1
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
from keras_logitkd.cli.main import main
main(sys.argv[2:])
"""


@pytest.mark.slow
def test_too_little_memory_is_one_line_with_advice(tmp_path):
    """Less and less memory for one training, until TensorFlow says that it is too little.

    It does not always say so: some of oneDNN's kernels use what they did not get, and the process
    ends with a signal (https://github.com/tensorflow/tensorflow/issues/108621).
    """
    command = ("train", "--model", "wrn-10-8", "--epochs", "1", "--batch-size", "1400")
    said = []
    for megabytes in (2000, 1700, 1500, 1300, 1100):
        done = subprocess.run(
            [sys.executable, "-c", _STARVE, str(megabytes * 2**20), *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        if done.returncode == 1:
            said.append(one_line_of(done.stderr))
    assert said
    for line in said:
        assert line.startswith("logitkd: error: Out of memory with 1400 examples a step (")
        assert "Lower --batch-size" in line


@pytest.mark.slow
def test_a_network_larger_than_the_memory_is_one_line(run_on_tiny):
    code, _, err = run_on_tiny("train", "--model", "wrn-10-8000", *QUICK, "--runs-dir", "none")
    assert code == 1
    assert one_line_of(err) == (
        "logitkd: error: Out of memory (OOM when allocating tensor with shape[3,3,128000,128000]). "
        "Take a smaller network, or smaller images"
    )
    assert not pathlib.Path("none").exists()
