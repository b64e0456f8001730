"""The two effects that the paper derives (Eq. 8 and 10), on real digits.

KL with a large temperature leaves the sums of the logits free to drift away from the teacher's, and
lengthens the pre-logits; MSE holds the sums. Numbers of longer runs are in docs/gallery.md.
"""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_logitkd import Distiller
from keras_logitkd.analysis import measurements
from keras_logitkd.analysis.analysis import analyze
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.analysis.penultimate import runner
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.workspace import open_workspace

FIT = {"batch_size": 128, "epochs": 15, "shuffle": False, "verbose": 0}


def perceptron(width, seed):
    initial = [keras.initializers.GlorotUniform(10 * seed + layer) for layer in range(2)]
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(width, "relu", kernel_initializer=initial[0]),
            keras.layers.Dense(10, kernel_initializer=initial[1]),
        ]
    )


@pytest.fixture(scope="module")
def digits():
    """Pixels in [0, 1], labels, and the logits of a teacher that was trained on them."""
    x, y = load_digits(return_X_y=True)
    x, teacher = (x / 16).astype("float32"), perceptron(128, 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    teacher.compile(keras.optimizers.Adam(3e-3), loss)
    teacher.fit(x, y, **FIT)
    logits = runner(teacher)(x)[1]
    assert np.mean(logits.argmax(1) == y) > 0.95
    return x, y, logits


def distil(digits, loss, seed):
    """(root mean square shift of the logits' sum, mean norm of the pre-logits) of a student."""
    x, y, taught = digits
    student = perceptron(16, seed)
    distiller = Distiller(None, student, distillation_loss=loss)
    distiller.compile(keras.optimizers.Adam(3e-3))
    distiller.fit(x, {"label": y, "teacher_logits": taught}, **FIT)
    pre_logits, logits = runner(student)(x)
    shift = measurements.logit_sums(logits) - measurements.logit_sums(taught)
    return np.sqrt(np.mean(shift**2)), measurements.norms(pre_logits).mean()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_kl_shifts_the_sums_and_lengthens_pre_logits_the_more_the_larger_tau(digits, seed):
    shift, norm = {}, {}
    for loss in ("kl:1", "kl:inf", "mse"):
        shift[loss], norm[loss] = distil(digits, loss, seed)
    assert shift["kl:inf"] > 1.5 * shift["kl:1"]
    assert shift["kl:1"] > 3 * shift["mse"]
    assert norm["kl:inf"] > 1.15 * norm["kl:1"]


@pytest.mark.slow
def test_residual_networks_show_both_against_mse(tmp_path):
    workspace = open_workspace("digits", str(tmp_path / "runs"), recipe_fields={"epochs": 4})
    teacher = Cell("wrn-16-1", recipe=workspace.recipe.replace(epochs=8))
    runs = [
        open_run(workspace.run(Cell("wrn-10-1", (teacher,), loss)).directory.path)
        for loss in ("kl:inf", "mse")
    ]
    kl, mse = (one.measures.distributions for one in analyze(runs, split="train").students)
    assert kl["logit_sum_shift"].root_mean_square > 2 * mse["logit_sum_shift"].root_mean_square
    assert kl["pre_logit_norm"].mean > 1.08 * mse["pre_logit_norm"].mean
