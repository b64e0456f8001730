import shutil

import keras
import pytest


@pytest.fixture
def small_teacher(tmp_path, monkeypatch):
    """Goes where there is nothing but t.keras, an untrained teacher for the digits."""
    monkeypatch.chdir(tmp_path)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save("t.keras")


@pytest.fixture(scope="module")
def _kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "files"


@pytest.fixture
def once(run_on_tiny, tmp_path, _kept):
    """Calls what fills the working directory for a module's first test; others get its files."""

    def once(fill):
        if _kept.exists():
            shutil.copytree(_kept, tmp_path, dirs_exist_ok=True)
        else:
            fill()
            shutil.copytree(tmp_path, _kept)

    return once
