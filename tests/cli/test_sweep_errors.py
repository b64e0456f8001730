"""What the commands that run many cells, and the stages of `distill`, refuse."""

import json
import pathlib

import keras
import pytest

from keras_logitkd.experiments import sweep

QUICK = ("--epochs", "1", "--batch-size", "16", "--pad", "0", "--no-flip", "--validation", "0")
NOISE = ("noise", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "1")
DISTILL = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", "--loss", "sequential")


def on_tiny(*arguments):
    return (*arguments, "--dataset", "npz:tiny.npz", *QUICK)


def written():
    """Everything below the working directory, files with their times."""
    paths = pathlib.Path().rglob("*")
    return {str(path): path.is_file() and path.stat().st_mtime_ns for path in paths}


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
    ((*NOISE, "--noise", "pair:0.2", "--losses", "ce,l1"), ("'l1'", "mse, kl, ")),
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
    (("sequential", "vgg", "wrn-10-1:mse"), ("vgg", "FILE.keras")),
    (("sequential", "resnet-8-1", "wrn-11-1:mse"), ("wrn-11-1", "6n + 4")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "vgg:mse"), ("vgg", "FILE.keras")),
    (("sequential", "resnet-8-1", "wrn-10-1"), ("MODEL:LOSS", "wrn-10-1")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "wrn-10-1:"), ("MODEL:LOSS", "wrn-10-1:")),
    (("sequential", "resnet-8-1:mse", "wrn-10-1:mse"), ("no loss", "resnet-8-1:mse")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse", "wrn-10-1:l1"), ("'l1'", "mse, kl, ")),
    (("sequential", "resnet-8-1", "wrn-10-1:mse@1,kl:3@0"), ("begin at epoch 0", "[1, 0]")),
    (("sequential", "resnet-8-1", "wrn-10-1:kl:3@0,mse@1"), ("number of epochs, 1", "mse@1")),
    (("sequential", "none.keras", "wrn-10-1:mse"), ("none.keras", "there is no file")),
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
def test_bad_input_is_one_line_and_nothing_is_lost(
    run_on_tiny, own_teacher, monkeypatch, arguments, parts
):
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
    before = written()
    # What is typed last counts.
    code, out, err = run_on_tiny(arguments[0], *on_tiny(), *arguments[1:])
    assert code == 2, err
    assert out == ""
    assert err.startswith("logitkd: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err, err
    assert written() == before


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
def test_command_line_wins_over_the_stages_of_a_config_file(run_on_tiny, own_teacher, typed, part):
    options = {"loss": "sequential", "stages": "kl:3@0,mse@9"}
    pathlib.Path("best.json").write_text(json.dumps({"options": options}))
    command = (*DISTILL[:-2], "--config", "best.json", *typed)
    code, _, err = run_on_tiny(*on_tiny(*command))
    assert code == 2
    assert part in err
