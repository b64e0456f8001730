import keras
import pytest

from keras_logitkd.cli import main


@pytest.fixture
def run(capsys):
    """Runs the command line; returns exit code, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def small_teacher(tmp_path, monkeypatch):
    """Goes where there is nothing but t.keras, an untrained teacher for the digits."""
    monkeypatch.chdir(tmp_path)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save("t.keras")
