"""The commands that run many cells, from the command line to their files."""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_logitkd.cli import main
from keras_logitkd.experiments import sweep
from keras_logitkd.experiments.schedule import Failure
from keras_logitkd.training.workspace import Workspace

QUICK = ("--epochs", "1", "--batch-size", "16", "--pad", "0", "--no-flip", "--validation", "0")
CHAIN = ("sequential", "resnet-8-1", "wrn-10-1:kl:3", "wrn-10-1:mse", "--teacher-epochs", "1")
NOISE = ("noise", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "1")
DISTILL = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", "--loss", "sequential")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, tiny_spec):
    """Runs the command line where tiny.npz and own.keras lie; returns code, output and error."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_spec.removeprefix("npz:"), "tiny.npz")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["logitkd", *arguments])
        with pytest.raises(SystemExit) as stop:
            main.main(list(arguments))
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def own_teacher(run):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save("own.keras")


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


def test_reproduce_table2_from_options_to_files(run):
    arguments = (
        "reproduce", "table2", "--epochs", "1", "--teacher-epochs", "1", "--seeds", "0",
        "--dataset", "digits", "--batch-size", "256", "--teacher", "resnet-8-1",
        "--pad", "0", "--validation", "0",
    )  # fmt: skip
    code, out, err = run(*arguments, "--json")
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
    assert run(*arguments)[0] == 0
    assert models() == before
    assert table("results/table2-smoke") == rows


def test_noise_measures_memorisation(run):
    code, out, err = run(
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


def test_interrupted_chain_goes_on_and_ends_with_the_same_table(run, monkeypatch):
    chain = on_tiny(*CHAIN[:2], *CHAIN[3:])
    code, _, err = run(*chain, "--runs-dir", "whole", "--output", "expected")
    assert code == 0, err
    expected = table("expected")
    assert [row["row"] for row in expected] == ["1 resnet-8-1", "2 wrn-10-1"]
    assert [row["teacher"] for row in expected] == ["", "resnet-8-1"]

    def interrupted(self, epoch, logs=None):
        if len(models()) == 3:  # Of the second network all is computed and nothing saved.
            raise KeyboardInterrupt
        return on_epoch_end(self, epoch, logs)

    checkpointer = sys.modules["keras_logitkd.training.checkpoint"].Checkpointer
    on_epoch_end = checkpointer.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(checkpointer, "on_epoch_end", interrupted)
        code, _, err = run(*chain)
    assert code == 130
    assert err.splitlines()[-1].startswith("logitkd: interrupted; run it again to go on")
    assert not pathlib.Path("results/sequential/table.csv").exists()
    before = models()
    assert len(before) == 3
    code, _, err = run(*chain)
    assert code == 0, err
    assert before.items() < models().items()
    again = table("results/sequential")
    for row, other in zip(expected, again, strict=True):
        assert row | {"seconds": ""} == other | {"seconds": ""}


def test_failed_cell_is_exit_code_1_and_the_others_are_there(run, monkeypatch):
    def run_cell(workspace, cell):
        if cell.loss == "kl:3":
            return Failure("no luck")
        return {"run": "r", "test_accuracy": 0.5, "seconds": 2.0}

    monkeypatch.setattr(sweep, "run_cell", run_cell)
    code, out, err = run(*on_tiny(*CHAIN))
    assert code == 1
    lines = err.splitlines()
    assert lines[0] == "[1/3] resnet-8-1 ce seed 0: 50.00% in 2 s; 0 min left"
    assert lines[1].startswith("[2/3] wrn-10-1 kl:3 (from resnet-8-1) seed 0: FAILED, no luck")
    assert "FAILED, its teacher failed" in lines[2]
    assert lines[3] == "2 of 3 cells failed; run again to try them again"
    assert [row["error"] != "" for row in table("results/sequential")] == [False, True, True]
    code, out, _ = run(*on_tiny(*CHAIN), "--json")
    assert (code, json.loads(out)["failed"]) == (1, 2)


@pytest.mark.parametrize("debug", [False, True])
def test_unexpected_errors_of_a_cell_are_one_line_and_with_debug_a_traceback(
    run, monkeypatch, caplog, debug
):
    def broken(self, cell):
        raise KeyError("a surprise\nin two lines")

    monkeypatch.setattr(Workspace, "run", broken)
    code, _, err = run(*on_tiny(*CHAIN), *(["--debug"] if debug else []))
    assert code == 1
    assert len(err.splitlines()) == 4
    assert "FAILED, KeyError: 'a surprise\\nin two lines'; " in err
    assert ("Traceback" in caplog.text) == debug


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ((), "number of epochs, 1"),
        (("--stages", "kl:3@0,mse@7"), "mse@7"),
        (("--tau", "3"), "'--epochs' of at least 2"),
        (("--switch-epoch", "1"), "'--epochs' of at least 2"),
        (("--loss", "sequential"), "'--epochs' of at least 2"),
    ],
)
def test_command_line_wins_over_the_stages_of_a_config_file(run, own_teacher, typed, part):
    options = {"loss": "sequential", "stages": "kl:3@0,mse@9"}
    pathlib.Path("best.json").write_text(json.dumps({"options": options}))
    command = (*DISTILL[:-2], "--config", "best.json", *typed)
    code, _, err = run(*on_tiny(*command))
    assert code == 2
    assert part in err


def test_stages_are_what_losses_reads(run, own_teacher):
    stages = ("--stages", "kl:3@0, kl:inf@1 ,mse@2", "--name", "s")
    code, _, err = run(*on_tiny(*DISTILL), *stages, "--epochs", "3", "--learning-rate", "1e-9")
    assert code == 0, err
    config = json.loads(pathlib.Path("runs/s/config.json").read_text())
    assert config["loss"] == "kl:3@0,kl:inf@1,mse@2"


BAD = [
    ((*NOISE, "--noise", "symmetric:1"), ("`rate`", "below 1", "rate=1.0")),
    ((*NOISE, "--noise", "pair:-0.1"), ("`rate`", "at least 0", "rate=-0.1")),
    ((*NOISE, "--noise", "pair:nan"), ("`rate`", "nan")),
    ((*NOISE, "--noise", "symmetric:0.2", "--noise", "uniform:0.4"), ("uniform:0.4", "matrix:")),
    ((*NOISE, "--noise", "pair:0.2", "--noise", "pair:0.2"), ("one cell", "pair 0.2")),
    ((*NOISE, "--noise", "matrix:bad.csv"), ("row 1", "sum to 1", "a sum of 0.9")),
    ((*NOISE, "--noise", "matrix:two.csv"), ("3 classes", "2 rows")),
    ((*NOISE, "--noise", "matrix:none.csv"), ("none.csv",)),
    ((*NOISE, "--noise", "pair:0.2", "--losses", ""), ("--losses", "''", "ce,kl:3")),
    ((*NOISE, "--noise", "pair:0.2", "--losses", "ce,"), ("--losses", "'ce,'")),
    ((*NOISE, "--noise", "pair:0.2", "--losses", "mse,mse"), ("--losses", "'mse,mse'")),
    ((*NOISE, "--noise", "pair:0.2", "--losses", "ce,l1"), ("l1", '"mse"')),
    ((*NOISE, "--noise", "pair:0.2", "--losses", "kl:-2"), ("`temperature`", "-2")),
    ((*NOISE, "--noise", "pair:0.2", "--seeds", ""), ("--seeds", "''", "0,1,2")),
    ((*NOISE, "--noise", "pair:0.2", "--seeds", "1,1"), ("--seeds", "'1,1'")),
    ((*NOISE, "--noise", "pair:0.2", "--jobs", "0"), ("--jobs", "0", "x>=1")),
    ((*NOISE, "--noise", "pair:0.2", "--examples", "61"), ("`examples`", "3..60", "61")),
    ((*NOISE, "--noise", "pair:0.2", "--runs-dir", "file"), ("file",)),
    ((*NOISE, "--noise", "pair:0.2", "--output", "file"), ("file",)),
    (NOISE, ("--noise",)),
    (("sequential",), ("TEACHER",)),
    (("sequential", "resnet-8-1"), ("at least two networks", "resnet-8-1")),
    (("sequential", "vgg", "wrn-10-1:mse"), ("vgg", "wrn-D-W")),
    (("sequential", "resnet-8-1", "wrn-11-1:mse"), ("wrn-11-1", "6n + 4")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "vgg:mse"), ("vgg", "wrn-D-W")),
    (("sequential", "resnet-8-1", "wrn-10-1"), ("MODEL:LOSS", "wrn-10-1")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "wrn-10-1:"), ("MODEL:LOSS", "wrn-10-1:")),
    (("sequential", "resnet-8-1:mse", "wrn-10-1:mse"), ("no loss", "resnet-8-1:mse")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "wrn-10-1:l1"), ("l1", '"mse"')),
    (("sequential", "resnet-8-1", "wrn-10-1:mse@1,kl:3@0"), ("begin at epoch 0", "[1, 0]")),
    (("sequential", "resnet-8-1", "wrn-10-1:kl:3@0,mse@1"), ("number of epochs, 1", "mse@1")),
    (("sequential", "none.keras", "wrn-10-1:mse"), ("none.keras", "does not exist")),
    (("sequential", "five.keras", "wrn-10-1:mse"), ("five.keras", "3 logits", "5 outputs")),
    (("sequential", "resnet-8-1,resnet-8-1", "wrn-10-1:mse"), ("one cell", "1 resnet-8-1")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "--seeds", ""), ("--seeds",)),
    (("reproduce", "table7"), ("'table7'", "table2", "figure6")),
    (("reproduce", "table2", "--scale", "large"), ("--scale", "smoke", "large")),
    (("reproduce", "table2", "--seeds", ""), ("--seeds",)),
    (("reproduce", "table2", "--student", "vgg"), ("--student", "vgg")),
    (("reproduce", "table2", "--teacher", "resnet-8-1,wrn-10-1"), ("--teacher", "one model")),
    (("reproduce", "table2", "--teacher", "none.keras"), ("--teacher", "none.keras")),
    (("reproduce", "table2", "--teacher", "five.keras"), ("five.keras", "3 logits")),
    ((*DISTILL, "--stages", "mse@3,kl:3@0", "--epochs", "9"), ("begin at epoch 0", "[3, 0]")),
    ((*DISTILL, "--stages", "kl:3@1,mse@2", "--epochs", "9"), ("begin at epoch 0", "[1, 2]")),
    ((*DISTILL, "--stages", "kl:3@0,mse@0", "--epochs", "9"), ("rise", "[0, 0]")),
    ((*DISTILL, "--stages", "kl:3@0,mse@9", "--epochs", "9"), ("number of epochs, 9", "mse@9")),
    ((*DISTILL, "--stages", "kl:3@0,l1@2", "--epochs", "9"), ("'l1'",)),
    ((*DISTILL, "--stages", "kl:3@0,mse@x", "--epochs", "9"), ("mse@x",)),
    ((*DISTILL, "--stages", "kl:3"), ("--stages", "LOSS@EPOCH", "'kl:3'")),
    ((*DISTILL, "--stages", ""), ("--stages", "LOSS@EPOCH", "''")),
    ((*DISTILL, "--stages", "kl:3@0", "--tau", "3"), ("--stages", "--tau", "exclude")),
    ((*DISTILL, "--stages", "kl:3@0", "--switch-epoch", "3"), ("--switch-epoch", "exclude")),
    ((*DISTILL[:-2], "--stages", "kl:3@0"), ("--stages", "--loss sequential")),
]


@pytest.mark.parametrize(("arguments", "parts"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_input_is_one_line_and_nothing_is_lost(run, own_teacher, monkeypatch, arguments, parts):
    def run_cell(workspace, cell):
        raise AssertionError("something was trained")

    monkeypatch.setattr(sweep, "run_cell", run_cell)
    pathlib.Path("bad.csv").write_text("1,0,0\n0.5,0.4,0\n0,0,1\n")
    pathlib.Path("two.csv").write_text("1,0\n0,1\n")
    pathlib.Path("file").write_text("")
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]
    keras.Sequential(layers).save("five.keras")
    for place in ("results/noise", "results/sequential", "results/table2-smoke", "runs/old"):
        pathlib.Path(place).mkdir(parents=True)
        pathlib.Path(place, "table.csv").write_text("computed before")
    before, directories = written(), {str(path) for path in pathlib.Path().rglob("*")}
    # What is typed last counts.
    code, out, err = run(arguments[0], *on_tiny(), *arguments[1:])
    assert code == 2, err
    assert out == ""
    assert err.startswith("logitkd: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err, err
    assert written() == before
    assert {str(path) for path in pathlib.Path().rglob("*")} == directories


def test_help_says_what_a_scale_costs_and_how_to_go_on(run):
    _, out, _ = run("reproduce", "--help")
    text = " ".join(out.split())
    for part in ("figure6", "smoke: digits, minutes", "hours on two cores", "run the same command"):
        assert part in text


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_chain_goes_on_and_ends_with_the_same_table(run, jobs):
    arguments = (*on_tiny(*CHAIN), "--epochs", "40", "--seeds", "0,1")
    code, _, err = run(*arguments, "--runs-dir", "whole", "--output", "expected")
    assert code == 0, err
    script = "from keras_logitkd.cli.main import main; main()"
    command = [sys.executable, "-c", script, *arguments, "--jobs", jobs]
    killed = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not any("mse" in str(file) for file in pathlib.Path("runs").glob("*/checkpoint.json")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    time.sleep(3)  # Its worker processes see that their input has ended.
    listing = subprocess.run(["ps", "-eo", "sess,args"], capture_output=True, text=True, check=True)
    left = [line for line in listing.stdout.splitlines() if line.split()[0] == str(killed.pid)]
    assert left == []
    assert not pathlib.Path("results/sequential/table.csv").exists()
    finished = models()
    code, _, err = run(*arguments)
    assert code == 0, err
    assert finished.items() <= models().items()
    for row, other in zip(table("expected"), table("results/sequential"), strict=True):
        assert row["run"] == other["run"]
        assert float(row["test_accuracy"]) == pytest.approx(float(other["test_accuracy"]), abs=0.05)
        if jobs == "1":
            assert row["test_accuracy"] == other["test_accuracy"]
