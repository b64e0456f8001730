"""Real runs on three classes of brightness, each with something wrong, and one without."""

import functools

import keras
import numpy as np
import pytest

from keras_logitkd.analysis.diagnosis import diagnose
from keras_logitkd.analysis.diagnosis.sample import Sample
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.data import catalog
from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.workspace import Workspace

RECIPE = Recipe(
    epochs=20, batch_size=16, learning_rate=0.05, pad=0, validation=0.0, lr_drops=(0.4, 0.6)
)


def brightness_teacher(file, scale=1 / 255, offset=0.0, layers=()):
    """Saves a teacher that is right on every image: it compares the brightness with two bounds.

    Args:
        file: where to.
        scale: of the pixels in the model; 1 makes a teacher of pixels that were scaled before.
        offset: is added to every logit.
        layers: functions from a tensor to one, before the last layer.
    """
    inputs = x = keras.Input((8, 8, 1))
    if scale != 1:
        x = keras.layers.Rescaling(scale)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    for layer in layers:
        x = layer(x)
    head = keras.layers.Dense(3)
    model = keras.Model(inputs, head(x))
    # z = (0, b - 65/255, 2 b - 200/255): class 1 above a brightness of 65, class 2 above 135.
    bias = [offset, offset - 20 * 65 / 255, offset - 20 * 200 / 255]
    head.set_weights([np.array([[0.0, 20.0, 40.0]]), np.array(bias)])
    model.save(file)
    return str(file)


@keras.saving.register_keras_serializable(package="tests")
class AlwaysRandom(keras.layers.Layer):
    """Drops half of its input, whatever the mode."""

    def call(self, x):
        return keras.random.dropout(x, 0.5)


@keras.saving.register_keras_serializable(package="tests")
class AlwaysCounting(keras.layers.BatchNormalization):
    """Batch normalisation that goes on learning its statistics, whatever the mode."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


def ballast(x):
    """Adds nothing, with 1,111 parameters."""
    wide = keras.layers.Dense(370, kernel_initializer="zeros")(x)
    return x + keras.layers.Dense(1, kernel_initializer="zeros")(wide)


@pytest.fixture(scope="session")
def scenario(tiny_spec, tmp_path_factory):
    """Function from a scenario's name to its (FinishedRun, cache); each is trained once."""
    place = tmp_path_factory.mktemp("diagnosis")
    cache = LogitCache(str(place / "logits"))
    workspace = Workspace(catalog.load(tiny_spec), RECIPE, str(place / "runs"))

    def teacher(name, **options):
        return (brightness_teacher(place / f"{name}.keras", **options),)

    def cell(name):
        short = RECIPE.replace(epochs=1, learning_rate=1e-6)
        return {
            "healthy": lambda: Cell("wrn-10-1", teacher("healthy"), "mse"),
            "other scale, no weight": lambda: Cell(
                "wrn-10-1", teacher("scaled", scale=1), "mse", alpha=0.0
            ),
            "not in inference mode": lambda: Cell(
                "wrn-10-1",
                teacher("training", layers=[AlwaysRandom()]),
                "mse",
                alpha=0.5,
                noise=LabelNoise("symmetric", 0.5),
            ),
            "not frozen": lambda: Cell(
                "wrn-10-1",
                teacher(
                    "updated",
                    layers=[
                        ballast,
                        AlwaysCounting(),
                    ],
                ),
                "mse",
                recipe=short,
            ),
            "poor teacher, no student": lambda: Cell(
                "wrn-10-1", (Cell("wrn-16-2", recipe=short),), "kl:4", recipe=short
            ),
            "shifted, drowned": lambda: Cell(
                "wrn-10-1", teacher("shifted", offset=50.0), "kl:20", alpha=0.001
            ),
            "diverging": lambda: Cell(
                "wrn-10-1",
                teacher("healthy"),
                "kl:4",
                recipe=RECIPE.replace(epochs=6, learning_rate=3.0, lr_drops=()),
            ),
        }[name]()

    @functools.cache
    def run(name):
        done = Workspace(
            workspace.dataset,
            RECIPE,
            workspace.runs_dir,
            cache=cache if name == "healthy" else None,
        ).run(cell(name))
        return open_run(done.directory.path), cache

    return run


@pytest.fixture(scope="session")
def findings(scenario):
    """Function from a scenario's name to its findings by check."""

    @functools.cache
    def diagnosed(name):
        return {finding.check: finding for finding in diagnose(*scenario(name))}

    return diagnosed


@pytest.fixture(scope="session")
def sample(scenario):
    """Function from a scenario's name to its `Sample`."""
    return lambda name: Sample(*scenario(name))
