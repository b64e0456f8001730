import json
import os
import pathlib
import subprocess
import sys
import time
import types

import click
import keras
import numpy as np
import pytest

from keras_logitkd.cli import main, registry
from keras_logitkd.runs.inputs.models import load_model

tiny_networks = pytest.mark.usefixtures("tiny_networks")

QUICK = ["--epochs", "1", "--batch-size", "128", "--no-flip", "--pad", "0"]


@pytest.fixture(autouse=True)
def _own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def own_model(outputs=10, shape=(8, 8, 1), activation=None):
    return keras.Sequential(
        [
            keras.layers.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(outputs, activation=activation),
        ]
    )


DISTILL = ("distill", "--student", "wrn-10-1")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("distill", "--student", "wrn-17-2"), ("--student", "wrn-17-2", "6n + 4")),
        (("distill", "--student", "vgg"), ("--student", "vgg", "wrn-16-2", "FILE.keras")),
        (("distill",), ("--student",)),
        ((*DISTILL, "--loss", "kl", "--tau", "-1"), ("--tau", "-1", "[0, inf]")),
        ((*DISTILL, "--loss", "kl", "--tau", "nan"), ("--tau", "nan", "[0, inf]")),
        ((*DISTILL, "--loss", "kl", "--tau", "x"), ("--tau", "'x'", "[0, inf]")),
        ((*DISTILL, "--tau", "3"), ("--tau", "mse")),
        ((*DISTILL, "--alpha", "1.5"), ("--alpha", "1.5", "[0, 1]")),
        ((*DISTILL, "--alpha", "nan"), ("--alpha", "nan", "[0, 1]")),
        ((*DISTILL, "--alpha", "0..2@3"), ("--alpha", "0..2@3", "[0, 1]")),
        ((*DISTILL, "--loss", "kl", "--tau", "8..0"), ("--tau", "8..0", "positive")),
        ((*DISTILL, "--loss", "kl:8..2", "--tau", "3"), ("--tau", "kl:8..2 has one")),
        ((*DISTILL, "--pad", "-1", "--name", "refused"), ("`pad`", "-1", "at least 0")),
        ((*DISTILL, "--mean", "1,1", "--std", "1,1"), ("`mean`", "1 channels", "2 and 2")),
        ((*DISTILL, "--mean", "nan"), ("`mean`", "finite", "nan")),
        ((*DISTILL, "--loss", "sequential", "--epochs", "1"), ("--epochs", "at least 2")),
        ((*DISTILL, "--teacher", "two.keras"), ("two.keras", "one tensor", "Functional")),
        ((*DISTILL, "--loss", "l1"), ("--loss", "l1", "mse")),
        ((*DISTILL, "--switch-epoch", "3"), ("--switch-epoch", "sequential")),
        (
            (*DISTILL, "--loss", "sequential", "--epochs", "3", "--switch-epoch", "3"),
            ("--switch-epoch", "1..2", "Received: 3"),
        ),
        ((*DISTILL, "--dataset", "no_such_set"), ("no_such_set", "digits", "folder:DIR")),
        ((*DISTILL, "--teacher", "missing.keras"), ("--teacher", "missing.keras")),
        ((*DISTILL, "--teacher", "junk.keras"), ("junk.keras", "not a .keras")),
        ((*DISTILL, "--teacher", "sparsemax.keras"), ("in a sparsemax", "has no logits")),
        ((*DISTILL, "--teacher-size", "0"), ("--teacher-size", "0")),
        (("distill", "--student", "keras:VGG61"), ("--student", "VGG61", "VGG16")),
        (("distill", "--student", "nets.py:small"), ("--student", "nets.py", "no file")),
        (("distill", "--student", "keras:MobileNetV2"), ("at least 32 x 32", "--student-size")),
        ((*DISTILL, "--teacher", "five.keras"), ("five.keras", "10 logits", "5 outputs")),
        ((*DISTILL, "--teacher", "large.keras"), ("large.keras", "(8, 8, 1)", "(9, 9, 2)")),
        ((*DISTILL, "--teacher", "wrn-16-3,resnet-21"), ("--teacher", "resnet-21")),
        ((*DISTILL, "--loss", "ovrhaul"), ("--loss", "mse, kl", "'ovrhaul'", "'overhaul'?")),
        ((*DISTILL, "--loss", "kl:3"), ("--loss", "'kl:3'", "--tau")),
        ((*DISTILL, "--loss", "at:mode=x"), ("`mode`", "'x'", "('code', 'paper')")),
        ((*DISTILL, "--loss", "ab:epochs=2"), ("ab", "init_epochs", "'epochs=2'")),
        ((*DISTILL, "--loss", "at", "--alpha", "0.5"), ("`alpha`", "mse+at")),
        ((*DISTILL, "--loss", "kl+at", "--tau", "3"), ("--tau", "kl:3+...")),
        ((*DISTILL, "--name", "../up"), ("`name`", "../up")),
        ((*DISTILL, "--epochs", "0"), ("`epochs`", "0", "at least 1")),
        ((*DISTILL, "--validation", "1"), ("`validation`", "1.0", "[0, 1)")),
        ((*DISTILL, "--lr-drops", "a"), ("--lr-drops", "'a'")),
        ((*DISTILL, "--runs-dir", "blocked/runs"), ("blocked/runs",)),
        ((*DISTILL, "--dataset", "folder:empty"), ("empty", "class folders")),
        ((*DISTILL, "--dataset", "folder:nowhere"), ("nowhere",)),
        ((*DISTILL, "--dataset", "npz:nowhere.npz"), ("nowhere.npz",)),
        (("evaluate", "nothing"), ("nothing", "run")),
        (("evaluate", "five.keras"), ("five.keras", "10 logits")),
        (("runs", "--no-such-option"), ("--no-such-option",)),
        (("frobnicate",), ("frobnicate",)),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, tmp_path, arguments, parts):
    (tmp_path / "junk.keras").write_text("junk")
    (tmp_path / "blocked").write_text("")
    (tmp_path / "empty").mkdir()
    own_model(5).save(tmp_path / "five.keras")
    own_model(activation="sparsemax").save(tmp_path / "sparsemax.keras")
    own_model(shape=(9, 9, 2)).save(tmp_path / "large.keras")
    inputs = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    keras.Model(inputs, {"logits": logits}).save(tmp_path / "two.keras")
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("logitkd: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_directory_is_named(run, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    code, _, err = run(*DISTILL, "--runs-dir", "closed/runs")
    assert code == 2
    assert "closed/runs" in err


def test_debug_shows_the_traceback(run):
    code, _, err = run(*DISTILL, "--dataset", "no_such_set", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_unexpected_error_is_exit_code_1(run, monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("surprise")

    monkeypatch.setattr(main.logitkd, "main", broken)
    code, _, err = run("zoo")
    assert code == 1
    assert "unexpected KeyError" in err
    assert "--debug" in err


@tiny_networks
def test_distill_with_own_teacher_ends_with_a_student(run, tmp_path):
    own_model().save(tmp_path / "own.keras")
    arguments = (*DISTILL, "--teacher", "own.keras", "--name", "first", *QUICK)
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    report = json.loads(out)
    student = load_model("runs/first/student.keras")
    assert student.output_shape == (None, 10)
    assert report["run"] == "runs/first"
    assert json.loads(pathlib.Path("runs/first/result.json").read_text())[
        "test_accuracy"
    ] == pytest.approx(report["test_accuracy"])

    written = pathlib.Path("runs/first/student.keras").stat().st_mtime_ns
    code, out, _ = run(*arguments)
    assert code == 0
    assert "first" in out
    assert pathlib.Path("runs/first/student.keras").stat().st_mtime_ns == written

    code, _, err = run(*arguments, "--alpha", "0.5")
    assert code == 2
    assert "other settings (alpha)" in err

    code, out, _ = run("runs", "--json")
    assert [row["run"] for row in json.loads(out)] == ["first"]

    code, out, _ = run("evaluate", "first", "--teacher", "own.keras", "--json")
    assert code == 0
    evaluated = json.loads(out)
    assert evaluated["accuracy"] == pytest.approx(report["test_accuracy"])
    assert evaluated["loss"] == pytest.approx(report["test_loss"], rel=1e-5)
    assert evaluated["agreement"] == pytest.approx(report["test_agreement"])


@tiny_networks
def test_distill_with_two_teachers_kl_and_baseline(run, tmp_path):
    for name in ("a", "b"):
        own_model().save(tmp_path / f"{name}.keras")
    code, out, _ = run(
        *DISTILL, "--teacher", "a.keras,b.keras", "--loss", "kl", "--tau", "inf", "--alpha", "0.9",
        "--baseline", *QUICK,
    )  # fmt: skip
    assert code == 0
    for word in ("a.keras", "b.keras", "student", "baseline", "test accuracy", "student.keras"):
        assert word in out
    (config,) = pathlib.Path("runs").glob("*kl_inf*/config.json")
    config = json.loads(config.read_text())
    assert (config["loss"], config["alpha"], len(config["teachers"])) == ("kl:inf", 0.9, 2)


@tiny_networks
def test_schedules_are_in_the_description_of_a_run(run, tmp_path):
    own_model().save(tmp_path / "own.keras")
    code, _, _ = run(
        *DISTILL, "--teacher", "own.keras", "--loss", "kl", "--tau", "8.0..2",
        "--alpha", "cosine(0.2..1@3steps)", *QUICK,
    )  # fmt: skip
    assert code == 0
    (config,) = pathlib.Path("runs").glob("*kl_8..2+acosine_0.2..1_3steps_-s0-*/config.json")
    config = json.loads(config.read_text())
    assert (config["loss"], config["alpha"]) == ("kl:8..2", "cosine(0.2..1@3steps)")
    code, out, _ = run("diagnose", next(pathlib.Path("runs").glob("*kl_8*")).name)
    assert code == 0
    assert "At alpha = 0.2 the soft term gives" in out


@tiny_networks
def test_sequential_switches_at_half_of_the_epochs(run, tmp_path):
    own_model().save(tmp_path / "own.keras")
    code, _, _ = run(
        *DISTILL, "--teacher", "own.keras", "--loss", "sequential", "--tau", "3", "--name", "s",
        *QUICK, "--epochs", "2",
    )  # fmt: skip
    assert code == 0
    assert json.loads(pathlib.Path("runs/s/config.json").read_text())["loss"] == "kl:3@0,mse@1"


@tiny_networks
def test_train_with_label_smoothing_and_resume(run):
    arguments = ("train", "--model", "wrn-10-1", "--label-smoothing", "0.1", "--name", "m")
    code, out, _ = run(*arguments, *QUICK, "--resume")
    assert code == 0
    assert "model.keras" in out
    config = json.loads(pathlib.Path("runs/m/config.json").read_text())
    assert config["recipe"]["label_smoothing"] == 0.1
    assert config["kind"] == "train"


def test_zoo_lists_parameters_and_flops(run):
    code, out, _ = run("zoo", "wrn-16-2", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["parameters"] == 703_284


def test_saved_student_needs_no_keras_logitkd(run, tmp_path):
    own_model().save(tmp_path / "own.keras")
    run(*DISTILL, "--teacher", "own.keras", "--name", "alone", *QUICK)
    pixels = np.random.default_rng(0).integers(0, 17, (5, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "pixels.npy", pixels)
    script = (
        "import sys; sys.modules['keras_logitkd'] = None\n"
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('runs/alone/student.keras')\n"
        "np.save('logits.npy', model.predict(np.load('pixels.npy'), verbose=0))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    expected = keras.saving.load_model("runs/alone/student.keras").predict(pixels, verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), expected)
    as_trained = load_model("runs/alone/student.keras").predict(pixels, verbose=0)
    np.testing.assert_allclose(as_trained, expected, atol=1e-6 * np.abs(expected).max())


def test_help_is_immediate_and_imports_no_tensorflow():
    script = (
        "import sys\n"
        "from keras_logitkd.cli import main\n"
        "try:\n"
        "    main.main(['--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)\n"
    )
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        times.append(time.perf_counter() - started)
    assert "distill" in done.stdout
    assert min(times) < 0.5


def test_a_command_is_one_row(run, monkeypatch):
    module = types.ModuleType("toy_command")

    @click.command()
    def toy():
        click.echo("played")

    module.toy = toy
    monkeypatch.setitem(sys.modules, "toy_command", module)
    row = registry.Command("toy", "Play.", "toy_command")
    monkeypatch.setattr(registry, "COMMANDS", [*registry.COMMANDS, row])
    assert run("toy")[:2] == (0, "played\n")
    assert "  toy         Play." in run("--help")[1]


@tiny_networks
def test_runs_lists_the_others_beside_a_damaged_one(run, tmp_path):
    for name, config in (("broken", "[]"), ("empty copy", "{}"), ("cut", '{"kind"')):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text(config)
    own_model().save(tmp_path / "own.keras")
    run(*DISTILL, "--teacher", "own.keras", "--name", "whole", *QUICK)
    code, out, _ = run("runs", "--json")
    assert code == 0
    states = {row["run"]: row["state"] for row in json.loads(out)}
    assert states == {
        "broken": "damaged",
        "cut": "damaged",
        "empty copy": "damaged",
        "whole": "finished",
    }
    code, _, err = run("evaluate", "broken")
    assert code == 2
    assert "broken/config.json is damaged" in err


@tiny_networks
def test_run_is_evaluated_from_its_own_directory(run, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 8, 8, 1), dtype="uint8"), np.arange(40) % 2
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    run("train", "--model", "wrn-10-1", "--dataset", "npz:own.npz", "--name", "a",
        *QUICK, "--resized-crop", "6")  # fmt: skip
    monkeypatch.chdir(tmp_path / "runs" / "a")
    code, out, err = run("evaluate", ".", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["examples"] == 40
