import numpy as np
import pytest

from keras_logitkd.data import catalog
from keras_logitkd.training.recipes import Recipe


@pytest.fixture(scope="session")
def tiny_spec(tmp_path_factory):
    """An npz file of 60 training and 24 test images, 8x8x1, whose three classes differ."""
    rng = np.random.default_rng(0)

    def draw(count):
        labels = np.arange(count) % 3
        images = rng.integers(0, 60, (count, 8, 8, 1)) + 70 * labels[:, None, None, None]
        return images.astype(np.uint8), labels.astype(np.int64)

    x_train, y_train = draw(60)
    x_test, y_test = draw(24)
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return f"npz:{path}"


@pytest.fixture
def tiny(tiny_spec):
    return catalog.load(tiny_spec)


@pytest.fixture
def tiny_recipe():
    return Recipe(epochs=2, batch_size=16, learning_rate=0.05, pad=1, validation=0.2)
