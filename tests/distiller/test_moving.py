"""alpha and temperatures that move while a Distiller is fitted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller, losses
from keras_logitkd.losses.schedules import Schedule

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6)).astype(np.float32)
Y = RNG.integers(0, 5, 12)


def network(hidden=8, seed=0):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Dense(hidden, "tanh", name="hidden")
    return keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(5)])


TEACHER = network(16, seed=1)
TERMS = ("hard", "distillation")


class Counting(Distiller):
    """A Distiller that counts how often its training step is traced, or runs eagerly."""

    traces = 0

    def train_step(self, data):
        self.traces += 1
        return super().train_step(data)


def compiled(loss="kl:3", alpha=1.0, cls=Counting, teacher=TEACHER, rate=0.1, **settings):
    distiller = cls(teacher, network(), loss, alpha)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    distiller.compile(optimizer, **{"jit_compile": False, **settings})
    return distiller


def train(distiller, **settings):
    settings = {"batch_size": 6, "shuffle": False, "verbose": 0, **settings}
    return distiller.fit(X, Y, **settings).history


class Assign(keras.callbacks.Callback):
    """Assigns alphas and temperatures by epoch, and keeps the traces and the logs."""

    def __init__(self, alphas=(), temperatures=()):
        super().__init__()
        self.alphas, self.temperatures, self.seen, self.logs = alphas, temperatures, [], []

    def on_epoch_begin(self, epoch, logs=None):
        if self.alphas:
            self.model.alpha = self.alphas[epoch]
        if self.temperatures:
            self.model.distillation_loss.temperature = self.temperatures[epoch]

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.traces)
        self.logs.append(dict(logs))


@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
def test_alpha_that_is_assigned_counts_from_the_next_step_on(settings):
    """Input 6 of the cases: the logs of each epoch are weighed by that epoch's alpha."""
    alphas = (1.0, 0.0, 0.0, 0.75, 1.0)
    assign, distiller = Assign(alphas), compiled(**settings)
    train(distiller, epochs=5, callbacks=[assign])
    for alpha, logs in zip(alphas, assign.logs, strict=True):
        expected = (1 - alpha) * logs["hard_loss"] + alpha * logs["distillation_loss"]
        assert logs["loss"] == pytest.approx(expected, rel=1e-6)
    assert distiller.alpha == 1.0
    if "run_eagerly" not in settings:  # once for the first one that is assigned, then never again
        assert assign.seen[1:] == [assign.seen[0] + 1] * 4


def test_an_alpha_between_0_and_1_moves_without_a_retrace():
    alphas = (0.25, 0.0, 1.0, 0.75)
    assign, distiller = Assign(alphas), compiled(alpha=0.25)
    evaluated = train(distiller, epochs=4, callbacks=[assign], validation_data=(X, Y))
    for prefix in ("", "val_"):
        hard, soft = (np.array(evaluated[f"{prefix}{name}_loss"]) for name in TERMS)
        expected = (1 - np.array(alphas)) * hard + alphas * soft
        np.testing.assert_allclose(evaluated[f"{prefix}loss"], expected, rtol=1e-6)
    assert len({*assign.seen}) == 1


def test_updates_are_those_of_the_alpha_that_was_assigned():
    moved, constant = compiled(alpha=1.0), compiled(alpha=0.25)
    train(moved, batch_size=12, callbacks=[Assign([0.25])])
    train(constant, batch_size=12)
    for ours, theirs in zip(moved.student.weights, constant.student.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"jit_compile": True}], ids=str)
def test_a_temperature_that_is_assigned_counts_without_a_retrace(settings):
    """Input 6 of the cases, for the loss: with a rate of 0 the logits stay, the loss is known."""
    temperatures = (3.0, 0.5, 20.0, 1e4)
    assign = Assign(temperatures=temperatures)
    distiller = compiled(rate=0.0, **settings)
    found = train(distiller, epochs=4, batch_size=12, callbacks=[assign])["distillation_loss"]
    expected = [float(losses.LogitKL(t)(TEACHER(X), distiller.student(X))) for t in temperatures]
    assert found == pytest.approx(expected, rel=1e-5)
    assert len({*assign.seen}) == 1
    distiller.distillation_loss.temperature = 2.0  # between fits
    found = train(distiller, batch_size=12)["distillation_loss"]
    expected = float(losses.LogitKL(2.0)(TEACHER(X), distiller.student(X)))
    assert found == pytest.approx([expected], rel=1e-5)
    assert distiller.traces == assign.seen[0]


def test_schedules_by_epochs_never_trace_again():
    assign, distiller = Assign(), compiled("kl:8..2", "0..1@2")
    places = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: places.append(
            (distiller.alpha, distiller.distillation_loss.temperature)
        )
    )
    train(distiller, epochs=4, callbacks=[assign, watch])
    assert places == [(0, 8), (0.5, 6), (1, 4), (1, 2)]
    for (alpha, _), logs in zip(places, assign.logs, strict=True):
        expected = (1 - alpha) * logs["hard_loss"] + alpha * logs["distillation_loss"]
        assert logs["loss"] == pytest.approx(expected, rel=1e-6)
    assert len({*assign.seen}) == 1


def test_schedules_by_steps_follow_the_optimizer():
    distiller = compiled("ttm:cosine(8..2@4steps)", Schedule(0.0, 1.0, steps=4))
    places = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: places.append(
            (distiller.alpha, distiller.distillation_loss.temperature)
        )
    )
    train(distiller, epochs=2, callbacks=[watch])
    distiller.train_on_batch(X, Y)
    places.append((distiller.alpha, distiller.distillation_loss.temperature))
    share = (1 - np.cos(np.pi / 4)) / 2
    temperatures = [8, 8 - 6 * share, 5, 2 + 6 * share, 2]
    expected = [(step / 4, temperatures[step]) for step in range(5)]
    np.testing.assert_allclose(places, expected, rtol=1e-12)


def test_several_steps_at_once_are_refused_by_steps_and_work_by_epochs():
    distiller = compiled("kl:8..2@4steps", steps_per_execution=2)
    with pytest.raises(ValueError, match="by steps needs steps_per_execution=1.*Received") as error:
        train(distiller)
    assert "\n" not in str(error.value)
    train(compiled("kl:8..2", "1..0.5", steps_per_execution=2), epochs=2)


@pytest.mark.parametrize(
    ("loss", "alpha"), [("kl:8..2@4", "0.25..1@3"), ("bkl:8..2@7steps", "1..0.5@6steps")]
)
def test_saved_in_mid_training_it_goes_on_to_the_same_bits(loss, alpha, tmp_path):
    whole, half = (compiled(loss, alpha, cls=Distiller) for _ in range(2))
    expected = train(whole, epochs=4)
    train(half, epochs=2)
    half.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    loaded.set_teacher(TEACHER)
    config = loaded.get_config()
    assert (config["alpha"], loaded.distillation_loss.get_config()["temperature"]) == (
        alpha,
        loss.partition(":")[2],
    )
    found = train(loaded, epochs=4, initial_epoch=2)
    assert found["loss"] == expected["loss"][2:]
    for ours, theirs in zip(loaded.student.weights, whole.student.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_was_assigned_is_saved_as_a_number(tmp_path):
    distiller = compiled("kl:8..2@4", "0..1@4", cls=Distiller)
    distiller.alpha, distiller.distillation_loss.temperature = 0.3, 5
    distiller.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    assert (loaded.alpha, loaded.distillation_loss.temperature) == (0.3, 5.0)
    assert (loaded.get_config()["alpha"], type(loaded.alpha)) == (0.3, float)


def test_what_moves_is_no_part_of_files_and_checkpoints(tmp_path):
    found = []
    for alpha in (0.5, "0..1@4"):
        distiller = compiled("kl:8..2@4", alpha, cls=Distiller)
        tf.train.Checkpoint(model=distiller).write(tmp_path / "c")
        keys = {key for key, _ in tf.train.list_variables(tmp_path / "c")}
        found.append((keys, [weight.path for weight in distiller.variables]))
    assert found[0][0] == found[1][0]
    assert not any("alpha" in key or "temperature" in key for key in found[1][0])
    assert not any("weight" in path or "temperature" in path for path in found[1][1])


def test_without_labels_alpha_cannot_leave_1():
    distiller = compiled(alpha=1.0)
    distiller.fit(X, batch_size=12, verbose=0)
    assign = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(distiller, "alpha", 0.5)
    )
    with pytest.raises(ValueError, match=r"With alpha=0\.5 the hard loss needs labels"):
        distiller.fit(X, batch_size=12, verbose=0, callbacks=[assign])
    train(distiller)  # with labels it may
    distiller.alpha = 1.0
    with pytest.raises(ValueError, match=r"With alpha=1\.0, which was assigned, the hard loss"):
        distiller.fit(X, verbose=0)
    with pytest.raises(ValueError, match=r"With alpha=1\.\.0\.5@3 the hard loss needs labels"):
        compiled(alpha="1..0.5@3").fit(X, verbose=0)


def test_without_a_teacher_alpha_cannot_leave_0():
    distiller = compiled(alpha=0.0, teacher=None)
    train(distiller)
    distiller.alpha = 0.5
    with pytest.raises(ValueError, match=r"With alpha=0\.5 distillation needs a teacher"):
        train(distiller)


@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan, None, True, "0..1@3"])
def test_what_is_assigned_to_alpha_must_be_a_share(bad):
    distiller = compiled(alpha=0.5)
    with pytest.raises(ValueError, match="`alpha` m") as error:
        distiller.alpha = bad
    assert "\n" not in str(error.value)
    assert distiller.alpha == 0.5


def test_batch_statistics_alone_give_no_logits_to_weigh():
    arguments = TEACHER, network(), "mse"
    sp = "sp:taps=hidden,teacher_bn=batch"
    distiller = Distiller(*arguments, 0.0, features=sp)
    with pytest.raises(ValueError, match="`alpha` was 0 when the Distiller was made"):
        distiller.alpha = 0.5
    distiller.alpha = 0.0
    for alpha, changed in ((0.0, "sp:taps=hidden"), ("0..1@3", sp), (0.1, sp)):
        distiller = Distiller(*arguments, alpha, features=changed)
        distiller.alpha = 0.5
        assert distiller.alpha == 0.5
