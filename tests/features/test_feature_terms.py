"""Feature terms in the Distiller: the total, what is logged, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import Distiller
from keras_logitkd.features.at import AttentionTransfer, attention_loss
from keras_logitkd.features.taps import tapped

TAPS = ["g1", "g2", "g3"]


def compiled(*arguments, **named):
    distiller = Distiller(*arguments, **named)
    distiller.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
    return distiller


def test_the_total_is_hard_loss_and_weighted_term(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1", weight_decay=0.01)
    distiller = compiled(teacher, student, "mse", 0.25, features="at:weight=50")
    theirs, ours = (tapped(model, TAPS)(images[0], training=False) for model in (teacher, student))
    penalty = float(sum(student.losses))
    logs = distiller.evaluate(*images, verbose=0, return_dict=True)
    at = float(np.mean(sum(attention_loss(theirs[tap], ours[tap]) for tap in TAPS)))
    labels = tf.one_hot(images[1], 5)
    hard = float(np.mean(tf.nn.softmax_cross_entropy_with_logits(labels, ours["logits"])))
    mse = float(np.mean((ours["logits"] - theirs["logits"]) ** 2))
    assert logs["at"] == pytest.approx(at, rel=1e-4)
    assert logs["loss"] == pytest.approx(0.75 * hard + 0.25 * mse + 50 * at + penalty, rel=1e-4)
    trained = distiller.train_on_batch(*images, return_dict=True)
    names = {"loss", "hard_loss", "distillation_loss", "agreement", "at", "accuracy"}
    assert {*trained} == {*logs} == names


def test_without_logit_loss_hard_loss_and_method_alone(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    distiller = compiled(teacher, student, None, 0.0, features="at")
    logs = distiller.train_on_batch(*images, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["hard_loss"] + 1000 * logs["at"], rel=1e-5)
    assert "distillation_loss" not in logs
    alone = compiled(teacher, student, None, 1.0, features="at")
    logs = alone.train_on_batch(*images, return_dict=True)
    assert logs["loss"] == pytest.approx(1000 * logs["at"], rel=1e-5)


def test_sample_weight_acts_on_the_term(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    weight = np.repeat([1.0, 0.0], 8)
    half = [each[:8] for each in images]
    distiller = compiled(teacher, student, None, 1.0, features="at")
    weighted = distiller.evaluate(*images, sample_weight=weight, verbose=0, return_dict=True)
    first = distiller.evaluate(*half, verbose=0, return_dict=True)
    assert weighted["at"] == pytest.approx(first["at"] / 2, rel=1e-4)


def test_weight_follows_the_epochs(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    seen = []
    distiller = compiled(teacher, student, None, 0.0, features="at:weight=0..6@3")
    method = distiller.features[0]
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(method.weight))
    )
    distiller.fit(*images, epochs=5, verbose=0, callbacks=[watch])
    assert seen == [0, 2, 4, 6, 6]


def test_stored_logits_are_refused_in_training_and_leave_the_term_out_of_evaluation(build, images):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    distiller = compiled(teacher, student, "mse", features="at")
    targets = {"label": images[1], "teacher_logits": teacher(images[0]).numpy()}
    with pytest.raises(ValueError, match='at needs the teacher itself.*"teacher_logits"'):
        distiller.fit(images[0], targets, verbose=0)
    logs = distiller.evaluate(images[0], targets, verbose=0, return_dict=True)
    assert "at" not in logs
    assert logs["loss"] == pytest.approx(logs["distillation_loss"])


def test_saved_distiller_has_its_method(build, images, tmp_path):
    teacher, student = build("wrn-10-2", 1), build("wrn-10-1")
    distiller = compiled(teacher, student, "mse", features="at:weight=0..6@3,mode=paper")
    distiller.fit(*images, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    assert loaded.features[0].get_config() == distiller.features[0].get_config()
    loaded.set_teacher(teacher)
    expected = distiller.train_on_batch(*images, return_dict=True)
    found = loaded.train_on_batch(*images, return_dict=True)
    assert found["at"] == pytest.approx(expected["at"], rel=1e-5)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("att", "must be one of .*at.*Did you mean 'at'"),
        ("at:wight=3", "An option of at must be .*weight.*Did you mean 'weight'"),
        ("at:weight=x", "`weight` must be a number, or FIRST..LAST@EPOCHS"),
        ("at:weight=-1", "`weight` must be finite and at least 0"),
        ("at:mode=both", "`mode` must be one of"),
        ("at:weight_decay=no", "`weight_decay` of at must be a number"),
        (["at", "at"], "must have different names"),
        (AttentionTransfer(name="agreement"), "must not be named as .* logs .*Received: agreement"),
        (3, "must be a name, a config or a FeatureMethod"),
        ("at:taps=g1/g9", "has no tap 'g9'"),
    ],
)
def test_what_cannot_be_meant_is_one_line(build, features, message):
    with pytest.raises(ValueError, match=message) as error:
        Distiller(build("wrn-10-2"), build("wrn-10-1"), features=features)
    assert "\n" not in str(error.value)


def test_several_teachers_are_refused(build):
    teachers = [build("wrn-10-2"), build("wrn-10-1", 1)]
    with pytest.raises(ValueError, match="at needs one teacher.*Received: 2 teachers"):
        Distiller(teachers, build("wrn-10-1"), features="at")
