"""SIGTERM and Ctrl-C: what is said, with which exit code, and that nothing is lost."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess

import pytest
import tiny_zoo

from keras_logitkd.cli import main
from keras_logitkd.cli.progress import TrainingProgress
from keras_logitkd.processes import interrupts, launcher
from keras_logitkd.runs import evaluation, job

pytestmark = pytest.mark.usefixtures("tiny_networks")

QUICK = ("--dataset", "npz:tiny.npz", "--batch-size", "16", "--pad", "0", "--no-flip")
TRAIN = ("train", "--model", "wrn-10-1", *QUICK, "--epochs", "3")
DISTILL = (
    "distill", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "2",
    "--epochs", "2", *QUICK,
)  # fmt: skip


@pytest.fixture
def stop_in(monkeypatch):
    """Sends this process a signal when a function is called for the given time."""

    def stop_in(place, name, number, at=1):
        calls, original = [], getattr(place, name)

        def stopping(*arguments, **named):
            calls.append(name)
            if len(calls) == at:
                os.kill(os.getpid(), number)
            return original(*arguments, **named)

        monkeypatch.setattr(place, name, stopping)

    return stop_in


def last_line(err):
    return err.strip().splitlines()[-1]


def continued(err):
    """The command that the last line names, without the program's name."""
    _, _, command = last_line(err).partition("; continue with: logitkd ")
    return shlex.split(command)


def result_of(name):
    run = pathlib.Path("runs", name)
    result = json.loads((run / "result.json").read_text())
    drop = ("seconds", "model_file")
    kept = {key: value for key, value in result.items() if key not in drop}
    return kept, (run / "metrics.csv").read_bytes()


@pytest.fixture(scope="module")
def expected(tiny_spec, tmp_path_factory):
    """What the two commands come to when nothing stops them."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, tiny_zoo.in_place():
        patch.chdir(place)
        shutil.copy(tiny_spec.removeprefix("npz:"), "tiny.npz")
        for arguments in (TRAIN, DISTILL):
            with pytest.raises(SystemExit, match="0"):
                main.main([*arguments, "--name", arguments[0]])
        return {name: result_of(name) for name in ("train", "distill")}


# Of the second epoch the second step, and the fourth, after which it ends.
@pytest.mark.parametrize(
    ("number", "code", "at", "said"),
    [
        (signal.SIGTERM, 143, 6, "stopped by SIGTERM after epoch 1, step 2 of the next; "),
        (signal.SIGINT, 130, 8, "stopped by SIGINT after epoch 2; "),
    ],
)
def test_training_finishes_its_step_and_continues(
    run_on_tiny, stop_in, expected, number, code, at, said
):
    # Before the step: the signal comes while it runs.
    stop_in(TrainingProgress, "on_train_batch_begin", number, at)
    found, out, err = run_on_tiny(*TRAIN, "--name", "two-words")
    assert (found, out) == (code, "")
    assert last_line(err).startswith(f"logitkd: {said}continue with: logitkd train")
    assert "Traceback" not in err
    assert len(list(pathlib.Path("runs/two-words").glob("checkpoint-*.npz"))) == 2
    code, _, err = run_on_tiny(*continued(err))
    assert code == 0, err
    assert result_of("two-words") == expected["train"]


@pytest.mark.parametrize(
    ("place", "name", "at"),
    [
        (TrainingProgress, "on_train_batch_begin", 2),  # the teacher's training
        (evaluation, "averaged_logits", 1),  # the first view
        (job, "final_numbers", 2),  # after the student's last epoch
    ],
)
def test_every_phase_of_a_distillation_continues(run_on_tiny, stop_in, expected, place, name, at):
    stop_in(place, name, signal.SIGTERM, at)
    code, _, err = run_on_tiny(*DISTILL, "--name", "broken")
    assert code == 143, err
    assert last_line(err).startswith("logitkd: stopped by SIGTERM")
    assert continued(err) == [*DISTILL, "--name", "broken", "--resume"]
    code, _, err = run_on_tiny(*continued(err))
    assert code == 0, err
    assert result_of("broken") == expected["distill"]
    assert not [file for file in pathlib.Path("runs").rglob(".*") if file.name[1].isdigit()]


def test_a_second_signal_ends_at_once(start, tiny_spec):
    child = start(*TRAIN[:3], "--dataset", tiny_spec, "--epochs", "10000", "--name", "r", tiny=True)
    child.until_file("runs/r/metrics.csv")
    os.kill(child.process.pid, signal.SIGSTOP)  # so that both are there before it looks
    os.kill(child.process.pid, signal.SIGINT)
    os.kill(child.process.pid, signal.SIGTERM)
    os.kill(child.process.pid, signal.SIGCONT)
    code, err = child.end()
    assert code in (130, 143)
    assert "Traceback" not in err
    assert "continue" not in err


def processes_of(text):
    """How many processes have a text in their command line."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return sum(text in line for line in listed.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        (("sequential", "resnet-8-1", "wrn-10-1:mse", "--jobs", "2"), "runs/*/checkpoint-*.json"),
        (
            ("tune", "--student", "wrn-10-1", "--teacher", "own.keras", "--workers", "2"),
            "runs/*/trials/*/checkpoint-*.json",
        ),
    ],
)
def test_worker_processes_save_what_they_have(run_on_tiny, own_teacher, start, command, pattern):
    arguments = [*command, *QUICK, "--epochs", "4000", "--runs-dir", "runs"]
    arguments += ["--teacher-epochs", "4000"] if command[0] == "sequential" else ["--views", "1"]
    child = start(*arguments)
    child.until_file(pattern)
    child.process.send_signal(signal.SIGINT)
    code, err = child.end()
    assert code == 130, err
    assert last_line(err).startswith("logitkd: stopped by SIGINT; continue with: logitkd")
    assert continued(err) == arguments
    logs = [
        *pathlib.Path("runs").glob(".workers.log"),
        *pathlib.Path("runs").glob("*/worker-*.log"),
    ]
    text = "".join(log.read_text() for log in logs)
    assert "Traceback" not in text
    if command[0] == "tune":
        assert "stopped by SIGTERM after epoch" in text
    assert processes_of(str(pathlib.Path().resolve())) == 0
    checkpoints = list(pathlib.Path().glob(pattern))
    assert checkpoints
    for file in checkpoints:
        assert json.loads(file.read_text())["checksum"]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (3, "exit code 3"),
        (-signal.SIGTERM, "signal SIGTERM"),
        (-signal.SIGKILL, "signal SIGKILL (too little memory?)"),
    ],
)
def test_how_a_process_ended(code, how):
    assert launcher.ending(code) == how


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.handling():
            os.kill(os.getpid(), signal.SIGINT)
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
