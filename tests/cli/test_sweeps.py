"""The commands that run many cells, from the command line to their files."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_logitkd import losses
from keras_logitkd.experiments import sweep
from keras_logitkd.experiments.cell_order import Failure
from keras_logitkd.runs.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tiny_networks")

QUICK = ("--epochs", "1", "--batch-size", "16", "--pad", "0", "--no-flip", "--validation", "0")
CHAIN = ("sequential", "resnet-8-1", "wrn-10-1:kl:3", "wrn-10-1:mse", "--teacher-epochs", "1")
NOISE = ("noise", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "1")
DISTILL = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", "--loss", "sequential")


def on_tiny(*arguments):
    return (*arguments, "--dataset", "npz:tiny.npz", *QUICK)


def table(directory):
    with pathlib.Path(directory, "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def written():
    """Every file of the working directory with its time."""
    files = (file for file in pathlib.Path().rglob("*") if file.is_file())
    return {str(file): file.stat().st_mtime_ns for file in files}


def models():
    return {file: time for file, time in written().items() if file.endswith(".keras")}


def check_against_runs(rows):
    """Every row of a table has the numbers of its run."""
    for row in rows:
        result = json.loads(pathlib.Path("runs", row["run"], "result.json").read_text())
        assert float(row["test_accuracy"]) == result["test_accuracy"]
        assert row["error"] == ""


@pytest.mark.slow
def test_reproduce_table2_from_options_to_files(run_on_tiny):
    arguments = on_tiny(
        "reproduce", "table2", "--teacher", "resnet-8-1", "--teacher-epochs", "1", "--seeds", "0"
    )
    code, out, err = run_on_tiny(*arguments, "--json")
    assert code == 0, err
    rows = table("results/table2-smoke")
    check_against_runs(rows)
    columns = ["ce", "kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse"]
    assert [(row["row"], row["column"]) for row in rows] == [("wrn-10-1", c) for c in columns]
    accuracies = {row["column"]: float(row["test_accuracy"]) for row in rows}
    text = pathlib.Path("results/table2-smoke/report.md").read_text()
    numbers = " | ".join(f"{100 * accuracies[column]:.2f}" for column in columns)
    assert f"| wrn-10-1 | {numbers} |" in text
    assert f"logitkd {' '.join(arguments)} --json" in text
    assert pathlib.Path("results/table2-smoke/figure.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads(out)
    assert {cell["column"]: cell["mean"] for cell in report["cells"]} == accuracies
    assert {claim["outcome"] for claim in report["claims"]} == {"not decidable at n = 1"}
    first = report["claims"][0]
    assert first["difference"] == pytest.approx(accuracies["mse"] - accuracies["ce"])
    assert (first["half_width"], first["n"]) == (None, 1)
    assert report["failed"] == 0
    assert [line[:6] for line in err.splitlines()] == [f"[{number}/8] " for number in range(1, 9)]

    before = models()
    assert run_on_tiny(*arguments)[0] == 0
    assert models() == before
    assert table("results/table2-smoke") == rows


@pytest.mark.slow
def test_noise_measures_memorisation(run_on_tiny):
    code, out, err = run_on_tiny(
        *on_tiny(*NOISE), "--noise", "symmetric:0.4", "--noise-seed", "2", "--losses", "ce, kl:1",
        "--seeds", "1", "--output", "here",
    )  # fmt: skip
    assert code == 0, err
    rows = table("here")
    check_against_runs(rows)
    assert [row["column"] for row in rows] == ["teacher", "ce", "kl:1"]
    assert {row["noise"] for row in rows} == {"symmetric 0.4"}
    for row in rows:
        directory = pathlib.Path("runs", row["run"])
        with np.load(directory / "labels.npz") as labels:
            assert labels["flipped"].sum() == 24
        noise = json.loads((directory / "config.json").read_text())["noise"]
        assert noise == {"kind": "symmetric", "rate": 0.4, "matrix": None, "seed": 2}
        assert 0 <= float(row["memorisation"]) <= 1
    assert "symmetric 0.4" in out
    assert "here/report.md" in out


@pytest.mark.slow
def test_interrupted_chain_goes_on_and_ends_with_the_same_table(run_on_tiny, monkeypatch):
    chain = on_tiny(*CHAIN[:2], *CHAIN[3:])
    code, _, err = run_on_tiny(*chain, "--runs-dir", "whole", "--output", "expected")
    assert code == 0, err
    expected = table("expected")
    assert [row["row"] for row in expected] == ["1 resnet-8-1", "2 wrn-10-1"]
    assert [row["teacher"] for row in expected] == ["", "resnet-8-1"]

    def interrupted(self, epoch, logs=None):
        if len(models()) == 3:  # Of the second network all is computed and nothing saved.
            raise KeyboardInterrupt
        return on_epoch_end(self, epoch, logs)

    checkpointer = sys.modules["keras_logitkd.runs.checkpointing.checkpointer"].Checkpointer
    on_epoch_end = checkpointer.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(checkpointer, "on_epoch_end", interrupted)
        code, _, err = run_on_tiny(*chain)
    assert code == 130
    assert err.splitlines()[-1].startswith(
        "logitkd: interrupted; continue with: logitkd sequential"
    )
    assert not pathlib.Path("results/sequential/table.csv").exists()
    before = models()
    assert len(before) == 3
    code, _, err = run_on_tiny(*chain)
    assert code == 0, err
    assert before.items() < models().items()
    again = table("results/sequential")
    for row, other in zip(expected, again, strict=True):
        assert row | {"seconds": ""} == other | {"seconds": ""}


def test_failed_cell_is_exit_code_1_and_the_others_are_there(run_on_tiny, monkeypatch):
    def run_cell(workspace, cell):
        if cell.loss == "kl:3":
            return Failure("no luck")
        return {"run": "r", "test_accuracy": 0.5, "seconds": 2.0}

    monkeypatch.setattr(sweep, "run_cell", run_cell)
    code, out, err = run_on_tiny(*on_tiny(*CHAIN))
    assert code == 1
    lines = err.splitlines()
    assert lines[0] == "[1/3] resnet-8-1 ce seed 0: 50.00% in 2 s; 0 min left"
    assert lines[1].startswith("[2/3] wrn-10-1 kl:3 (from resnet-8-1) seed 0: FAILED, no luck")
    assert "FAILED, its teacher failed" in lines[2]
    assert lines[3] == "2 of 3 cells failed; run again to try them again"
    assert [row["error"] != "" for row in table("results/sequential")] == [False, True, True]
    code, out, _ = run_on_tiny(*on_tiny(*CHAIN), "--json")
    assert (code, json.loads(out)["failed"]) == (1, 2)


@pytest.mark.parametrize("debug", [False, True])
def test_unexpected_errors_of_a_cell_are_one_line_and_with_debug_a_traceback(
    run_on_tiny, monkeypatch, caplog, debug
):
    def broken(self, cell, **options):
        raise KeyError("a surprise\nin two lines")

    monkeypatch.setattr(Workspace, "run", broken)
    code, _, err = run_on_tiny(*on_tiny(*CHAIN), *(["--debug"] if debug else []))
    assert code == 1
    assert len(err.splitlines()) == 4
    assert "FAILED, KeyError: 'a surprise\\nin two lines'; " in err
    assert ("Traceback" in caplog.text) == debug


def test_stages_are_what_losses_reads(run_on_tiny, own_teacher, monkeypatch):
    asked = []

    def run(self, cell, *args, **kwargs):
        asked.append(losses.get(cell.loss).stages)
        raise ValueError("seen enough")

    monkeypatch.setattr(Workspace, "run", run)
    stages = ("--stages", "kl:3@0, kl:inf@1 ,mse@2", "--epochs", "3")
    code, _, err = run_on_tiny(*on_tiny(*DISTILL), *stages)
    assert (code, err) == (2, "logitkd: error: seen enough\n")
    ((first, second, third),) = asked
    assert (first[0].temperature, second[0].temperature) == (3.0, float("inf"))
    assert isinstance(third[0], losses.LogitMSE)
    assert [start for _, start in asked[0]] == [0, 1, 2]


def test_help_says_what_a_scale_costs_and_how_to_go_on(run_on_tiny):
    _, out, _ = run_on_tiny("reproduce", "--help")
    text = " ".join(out.split())
    for part in ("figure6", "smoke: digits, minutes", "hours on two cores", "run the same command"):
        assert part in text


def processes_of(session):
    """The lines of `ps` on a session's processes."""
    listing = subprocess.run(["ps", "-eo", "sess,args"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if line.split()[0] == str(session)]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_chain_goes_on_and_ends_with_the_same_table(run_on_tiny, jobs):
    arguments = (*on_tiny(*CHAIN), "--epochs", "12")
    code, _, err = run_on_tiny(*arguments, "--runs-dir", "whole", "--output", "expected")
    assert code == 0, err
    script = "from keras_logitkd.cli.main import main; main()"
    command = [sys.executable, "-c", script, *arguments, "--jobs", jobs]
    killed = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not any("mse" in str(file) for file in pathlib.Path("runs").glob("*/checkpoint-*.json")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    while processes_of(killed.pid):  # Its workers finish their step and their checkpoint.
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not pathlib.Path("results/sequential/table.csv").exists()
    finished = models()
    code, _, err = run_on_tiny(*arguments)
    assert code == 0, err
    assert finished.items() <= models().items()
    for row, other in zip(table("expected"), table("results/sequential"), strict=True):
        assert row["run"] == other["run"]
        assert float(row["test_accuracy"]) == pytest.approx(float(other["test_accuracy"]), abs=0.05)
        if jobs == "1":
            assert row["test_accuracy"] == other["test_accuracy"]
