"""The losses in Keras's own Distiller."""

import keras
import numpy as np
import pytest

from keras_logitkd import losses


def dense(units=10, inputs=6):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units)])


def soft_kl(teacher, student, temperature):
    """tau^2 KL in float64."""
    z_t, z_s = teacher.astype("f8") / temperature, student.astype("f8") / temperature
    log_p = z_t - np.log(np.sum(np.exp(z_t), axis=-1, keepdims=True))
    log_q = z_s - np.log(np.sum(np.exp(z_s), axis=-1, keepdims=True))
    return temperature**2 * np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=-1))


def test_keras_distiller_takes_our_losses():
    keras.utils.set_random_seed(1)
    teacher, student = dense(), dense()
    x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
    y = np.arange(8) % 10
    expected = soft_kl(teacher(x).numpy(), student(x).numpy(), 3.0)
    distiller = keras.distillation.Distiller(
        teacher=teacher,
        student=student,
        distillation_losses=losses.LogitKL(3.0),
        student_loss_weight=0.0,
    )
    distiller.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    logs = distiller.fit(x, y, batch_size=8, epochs=1, verbose=0).history
    assert logs["distillation_loss"][0] == pytest.approx(expected, rel=1e-5)
    assert soft_kl(teacher(x).numpy(), student(x).numpy(), 3.0) < expected


@pytest.mark.parametrize("loss", ["bkl:3", "kl:3,standardize=true", "ttm:4", "ttm:4,weighted=true"])
def test_keras_distiller_takes_the_losses_beside_the_papers(loss):
    keras.utils.set_random_seed(1)
    teacher, student, loss = dense(), dense(), losses.get(loss)
    x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
    expected = float(loss(teacher(x), student(x)))
    distiller = keras.distillation.Distiller(
        teacher=teacher, student=student, distillation_losses=loss, student_loss_weight=0.0
    )
    distiller.compile(
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    logs = distiller.fit(x, np.arange(8) % 10, batch_size=8, epochs=1, verbose=0).history
    assert logs["distillation_loss"][0] == pytest.approx(expected, rel=1e-5)
    assert float(loss(teacher(x), student(x))) < expected
