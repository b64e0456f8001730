import shutil
import sys

import keras
import pytest

from keras_logitkd.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the command line; returns exit code, standard output and standard error."""

    def run(*arguments):
        arguments = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["logitkd", *arguments])
        with pytest.raises(SystemExit) as stop:
            main.main(arguments)
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def run_on_tiny(run, tmp_path, monkeypatch, tiny_spec):
    """Runs the command line where tiny.npz lies."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_spec.removeprefix("npz:"), "tiny.npz")
    return run


@pytest.fixture
def own_teacher(run_on_tiny):
    """Puts own.keras beside tiny.npz, an untrained teacher for it."""
    save_linear_model("own.keras", 3)


@pytest.fixture
def small_teacher(tmp_path, monkeypatch):
    """Goes where there is nothing but t.keras, an untrained teacher for the digits."""
    monkeypatch.chdir(tmp_path)
    save_linear_model("t.keras", 10)


def save_linear_model(file, classes):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    keras.Sequential(layers).save(file)
