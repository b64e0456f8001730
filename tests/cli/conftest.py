import keras
import pytest


@pytest.fixture
def small_teacher(tmp_path, monkeypatch):
    """Goes where there is nothing but t.keras, an untrained teacher for the digits."""
    monkeypatch.chdir(tmp_path)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save("t.keras")
