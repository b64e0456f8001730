"""What is saved and checkpointed: the student and the optimizer, never the teacher."""

import json
import pathlib
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)


def network(hidden=8, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01)),
        ]
    )


TEACHER = network(16, seed=1)


def compiled(teacher=TEACHER, student=None, loss="kl:3", alpha=0.3, learning_rate=0.05):
    distiller = Distiller(teacher, student or network(), loss, alpha)
    optimizer = keras.optimizers.Adam(learning_rate)
    distiller.compile(optimizer, metrics=["accuracy"], run_eagerly=True)
    return distiller


def train(distiller, **settings):
    settings = {"batch_size": 6, "shuffle": False, "verbose": 0, **settings}
    return distiller.fit(X, Y, **settings).history


def bytes_of(path):
    """The bytes below `path`: files as they are, and the arrays within archives."""
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file():
            yield file.read_bytes()
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    yield archive.read(name)
        if file.suffix == ".h5":
            with h5py.File(file) as content:
                found = []
                content.visititems(lambda _, item, found=found: found.append(item))
                yield from (item[()].tobytes() for item in found if isinstance(item, h5py.Dataset))


def holds(path, model):
    """Whether any weight of `model` that is not all 0 or all 1 is found, byte for byte."""
    weights = [weight for weight in model.get_weights() if len(np.unique(weight)) > 2]
    assert weights
    contents = list(bytes_of(path))
    return any(weight.tobytes() in content for weight in weights for content in contents)


def save(distiller, kind, directory):
    """Saves in one of Keras's ways and returns where."""
    path = directory / "saved"
    if kind == "save":
        distiller.save(path.with_suffix(".keras"))
    elif kind == "save_weights":
        distiller.save_weights(path.with_suffix(".weights.h5"))
    elif kind == "student":
        distiller.student.save(path.with_suffix(".keras"))
    elif kind == "checkpoint":
        tf.train.Checkpoint(model=distiller, optimizer=distiller.optimizer).save(path / "one")
    elif kind.startswith("ModelCheckpoint"):
        name = "e.weights.h5" if kind.endswith("weights") else "e.keras"
        callback = keras.callbacks.ModelCheckpoint(
            path / name, save_weights_only=kind.endswith("weights")
        )
        train(distiller, callbacks=[callback])
    elif kind == "BackupAndRestore":
        callback = keras.callbacks.BackupAndRestore(path, delete_checkpoint=False)
        train(distiller, callbacks=[callback])
    return directory


@pytest.mark.parametrize("teachers", [1, 2])
@pytest.mark.parametrize(
    "kind",
    [
        "save",
        "save_weights",
        "student",
        "checkpoint",
        "ModelCheckpoint",
        "ModelCheckpoint weights",
        "BackupAndRestore",
    ],
)
def test_saved_files_hold_the_student_and_no_teacher(kind, teachers, tmp_path):
    models = [network(16, seed=seed) for seed in range(1, 1 + teachers)]
    distiller = compiled(models if teachers > 1 else models[0])
    train(distiller)
    path = save(distiller, kind, tmp_path)
    assert holds(path, distiller.student)
    assert not any(holds(path, model) for model in models)


def test_load_model_continues_as_if_never_stopped(tmp_path):
    whole, halved = compiled(), compiled()
    train(whole, epochs=4)
    train(halved, epochs=2)
    halved.save(tmp_path / "halved.keras")
    loaded = keras.saving.load_model(tmp_path / "halved.keras")
    loaded.run_eagerly = True
    assert isinstance(loaded, Distiller)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), halved.predict(X, verbose=0))
    assert int(loaded.optimizer.iterations) == 4
    for ours, theirs in zip(loaded.optimizer.variables, halved.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert set(loaded.evaluate(X, Y, verbose=0, return_dict=True)) == {
        "loss",
        "hard_loss",
        "accuracy",
    }
    loaded.set_teacher(TEACHER)
    logs = train(loaded, epochs=4, initial_epoch=2)
    assert {"loss", "hard_loss", "distillation_loss", "agreement", "accuracy"} == set(logs)
    for ours, theirs in zip(loaded.student.get_weights(), whole.student.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_load_weights_restores_student_and_optimizer(tmp_path):
    trained, fresh = compiled(), compiled(student=network(seed=5))
    train(trained)
    trained.save_weights(tmp_path / "w.weights.h5")
    train(fresh)
    fresh.load_weights(tmp_path / "w.weights.h5")
    for model in (trained, fresh):
        train(model)
    for ours, theirs in zip(
        fresh.student.get_weights(), trained.student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_checkpoint_restores_student_and_optimizer(tmp_path):
    trained, fresh = compiled(), compiled(student=network(seed=5))
    train(trained)
    train(fresh)
    path = tf.train.Checkpoint(model=trained).save(tmp_path / "one")
    tf.train.Checkpoint(model=fresh).restore(path).expect_partial()
    for model in (trained, fresh):
        train(model)
    for ours, theirs in zip(
        fresh.student.get_weights(), trained.student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


class StopError(Exception):
    """An interruption."""


def test_backup_and_restore_continues_a_sequential_run(tmp_path):
    loss = "kl:3@0,mse@2"

    def stop(epoch, logs):
        if epoch == 3:
            raise StopError

    whole = compiled(loss=loss)
    train(whole, epochs=5)
    interrupted = compiled(loss=loss)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    stopper = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    with pytest.raises(StopError):
        train(interrupted, epochs=5, callbacks=[backup, stopper])
    resumed = compiled(loss=loss, student=network(seed=5))
    logs = train(resumed, epochs=5, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert len(logs["loss"]) == 2
    for ours, theirs in zip(
        resumed.student.get_weights(), whole.student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "kl:inf",
        losses.LogitKL(2.0, scale="none"),
        "kl:3@0,mse@4",
        "bkl:2,label_reduction=sum",
        "kl:3,standardize=true@0,ttm:4,weighted=true@4",
    ],
)
def test_from_config_round_trip(loss):
    distiller = Distiller(TEACHER, network(), loss, alpha=0.25, name="mine")
    config = json.loads(json.dumps(distiller.get_config()))
    before = json.dumps(config)
    twin = Distiller.from_config(config)
    assert json.dumps(config) == before
    assert (twin.name, twin.alpha) == ("mine", 0.25)
    twin.student.set_weights(distiller.student.get_weights())
    twin.set_teacher(TEACHER)
    logs = []
    for model in (distiller, twin):
        model.compile("sgd", run_eagerly=True)
        logs.append(model.evaluate(X, Y, verbose=0, return_dict=True))
    assert logs[0] == logs[1]
    assert json.dumps(twin.get_config()) == json.dumps(distiller.get_config())


def test_student_save_is_a_plain_keras_model(tmp_path):
    distiller = compiled()
    train(distiller)
    distiller.student.save(tmp_path / "student.keras")
    with zipfile.ZipFile(tmp_path / "student.keras") as archive:
        assert "keras_logitkd" not in archive.read("config.json").decode()
    student = keras.saving.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(student.predict(X, verbose=0), distiller.predict(X, verbose=0))


def test_holds_finds_a_teacher_that_is_saved(tmp_path):
    class Keeping(Distiller):
        def set_teacher(self, teacher, teacher_weights=None):
            super().set_teacher(teacher, teacher_weights)
            self.kept = teacher

    distiller = Keeping(TEACHER, network())
    distiller.compile("adam", run_eagerly=True)
    for kind in ("save", "save_weights", "checkpoint"):
        directory = pathlib.Path(tmp_path, kind)
        directory.mkdir()
        assert holds(save(distiller, kind, directory), TEACHER)


def test_set_teacher_changes_and_removes_the_teacher():
    distiller = compiled()
    other = network(3, seed=7)
    before = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    distiller.set_teacher([TEACHER, other])
    mean = (TEACHER(X).numpy() + other(X).numpy()) / 2
    logs = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    kd = float(losses.get("kl:3")(mean, distiller.student(X)))
    assert logs["distillation_loss"] == pytest.approx(kd, rel=1e-5)
    assert logs["distillation_loss"] != before["distillation_loss"]
    distiller.set_teacher(None)
    assert "distillation_loss" not in distiller.evaluate(X, Y, verbose=0, return_dict=True)


def test_set_teacher_after_compiled_training():
    distiller = compiled(loss="mse")
    distiller.compile("sgd", run_eagerly=False)
    other = network(3, seed=7)
    first = distiller.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"]
    distiller.set_teacher(other)
    second = distiller.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"]
    expected = float(losses.get("mse")(other(X), distiller.student(X)))
    assert second == pytest.approx(expected, rel=1e-5)
    assert second != first
    train(distiller, batch_size=12)
    distiller.set_teacher([other, TEACHER])
    logits = distiller.student(X, training=True).numpy()
    expected = float(losses.get("mse")((other(X) + TEACHER(X)) / 2, logits))
    assert train(distiller, batch_size=12)["distillation_loss"][0] == pytest.approx(expected, 1e-5)
