import shutil
import sys

import keras
import pytest

from keras_logitkd.cli import main


@pytest.fixture
def run_on_tiny(capsys, tmp_path, monkeypatch, tiny_spec):
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
def own_teacher(run_on_tiny):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save("own.keras")
