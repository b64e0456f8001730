"""What a check needs to know, by a function of its name from a `Sample` to its arguments."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_logitkd.analysis import measurements
from keras_logitkd.distiller import Distiller
from keras_logitkd.losses import LogitKL
from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy
from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.learning_rate import make_optimizer

_PROBE = 512  # examples for the teacher's input
_STORED = 128  # examples whose stored logits are compared
_SURE = 0.9  # probability above which a teacher is sure


def teacher_fit(sample):
    test = sample.run.dataset.test
    indices = sample.draw(np.arange(len(test)))
    return {
        "train_accuracy": _accuracy(sample.teacher_train, sample.labels),
        "test_accuracy": _accuracy(sample.teacher_logits(test, indices), test.labels[indices]),
        "temperature": getattr(sample.last_stage[0], "temperature", np.inf),
    }


def teacher_frozen(sample):
    # In one real training step.
    settings, spy = sample.run.settings, _Spy(sample.loss)
    distiller = Distiller(sample.teachers, sample.untrained(), spy, settings.alpha)
    hard = SmoothedCrossentropy(settings.recipe.label_smoothing)
    distiller.compile(make_optimizer(settings.recipe), loss=hard, run_eagerly=True)
    variables = [variable for teacher in sample.teachers for variable in teacher.variables]
    images, labels = sample.batch
    expected = sample.ensemble(images)
    before = [np.array(variable) for variable in variables]
    distiller.train_on_batch(images, labels)
    changes = [
        np.abs(np.asarray(variable, np.float64) - old).max(initial=0)
        for variable, old in zip(variables, before, strict=True)
    ]
    return {
        "variable_change": float(max(changes, default=0.0)),
        "step_difference": _difference(spy.seen, expected),
        "store_difference": _store_difference(sample),
    }


def same_input(sample):
    run, indices = sample.run, sample.train[:: -(-len(sample.train) // _PROBE)]
    labels, images = run.dataset.train.labels[indices], sample.images(indices)
    mean, std = map(np.array, models.normalization_of(run.settings.recipe, run.dataset))
    others = {
        "x / 255": images / 255,
        "x / 127.5 - 1": images / 127.5 - 1,
        "(x - mean) / std of the data": (images - mean) / std,
    }
    if (top := int(images.max(initial=1))) < 255:
        others[f"x / {top}"] = images / top
    networks = {"the student": run.load_network()}
    for number, teacher in enumerate(sample.teachers, start=1):
        networks["the teacher" if len(sample.teachers) == 1 else f"teacher {number}"] = teacher
    return {
        "accuracy": _accuracy(sample.ensemble(images), labels),
        "view_accuracy": _accuracy(sample.ensemble(sample.view_images(indices)), labels),
        "others": {
            name: _accuracy(sample.ensemble(pixels.astype(np.float32)), labels)
            for name, pixels in others.items()
        },
        "normalisations": {name: first_step(model) for name, model in networks.items()},
    }


def gradient_dependence(sample):
    alpha = max(sample.alphas)
    images, labels = sample.batch
    teacher = sample.ensemble(images)
    swapped = teacher[np.random.default_rng(0).permutation(len(teacher))]
    losses = {
        "hard": lambda logits: sample.hard_loss(labels, logits),
        "soft": lambda logits: sample.loss(teacher, logits),
        "swapped": lambda logits: sample.loss(swapped, logits),
    }
    sample.go_to(sample.run.settings.recipe.epochs - 1)
    terms = _terms(sample.run.load_network(), images, losses)
    gradients = {name: gradient for name, (_, gradient) in terms.items()}
    size = np.linalg.norm((1 - alpha) * gradients["hard"] + alpha * gradients["soft"])
    change = alpha * np.linalg.norm(gradients["soft"] - gradients["swapped"])
    return {"alpha": alpha, "relative_change": float(change / size) if size else 0.0}


def term_scale(sample):
    images, labels = sample.batch
    teacher = sample.ensemble(images)
    losses = {
        "hard": lambda logits: sample.hard_loss(labels, logits),
        "soft": lambda logits: sample.loss(teacher, logits),
    }
    last, measured = sample.run.settings.recipe.epochs - 1, {}
    for when, student, epoch in (
        ("start", sample.untrained(), 0),
        ("end", sample.run.load_network(), last),
    ):
        sample.go_to(epoch)
        measured[when] = {}
        for name, (value, gradient) in _terms(student, images, losses).items():
            norm = float(np.linalg.norm(gradient))
            measured[when] |= {name: value, f"{name}_gradient": norm}
    return {"alpha": sample.alphas[0], **measured}


def training_course(sample):
    # A stage before it, of a feature method, has no accuracy.
    rows = [row for row in sample.run.rows() if np.isfinite(row["accuracy"])]
    return {
        "losses": [row["loss"] for row in rows[sample.last_stage[1] :]],
        "train_accuracy": _accuracy(sample.student_train, sample.labels),
        "chance": 1 / sample.run.dataset.num_classes,
        "logit_norm": float(measurements.norms(sample.student_train).mean()),
        "teacher_logit_norm": float(measurements.norms(sample.teacher_train).mean()),
    }


def mean_shift(sample):
    student, teacher, loss = sample.student_train, sample.teacher_train, sample.last_stage[0]
    return {
        # Other losses with a temperature see a shift, or none of them at any temperature.
        "temperature": loss.temperature if isinstance(loss, LogitKL) else None,
        "delta_inf": float(measurements.hindering_terms(student, teacher).mean()),
        "squared_error": float(np.mean(np.square(student.astype(np.float64) - teacher))),
    }


def label_disagreement(sample):
    wrong = sample.teacher_train.argmax(axis=-1) != sample.told
    sure = measurements.confidences(sample.teacher_train) > _SURE
    return {
        "share": float(wrong.mean()),
        "sure_share": float((wrong & sure).mean()),
        "alpha": min(sample.alphas),
        "noise": sample.run.result.get("label_noise"),
    }


def capacity_gap(sample):
    return {
        "teacher_parameters": max(map(models.count_parameters, sample.teachers)),
        "student_parameters": sample.run.result["parameters"],
        "train_agreement": evaluation.agreement(sample.student_train, sample.teacher_train),
    }


def first_step(model):
    """Returns what a network does first to a pixel x, as text."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Rescaling):
            return f"x * {_shown(layer.scale)} + {_shown(layer.offset)}"
        if isinstance(layer, keras.layers.Normalization):
            std = np.sqrt(ops.convert_to_numpy(layer.variance))
            return f"(x - {_shown(ops.convert_to_numpy(layer.mean))}) / {_shown(std)}"
    return "x as it is"


class _Spy(keras.losses.Loss):
    """A loss that remembers the teacher's logits that it was given."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def call(self, y_true, y_pred):
        self.seen = np.asarray(y_true)
        return self.loss.call(y_true, y_pred)


def _store_difference(sample):
    """How far stored logits are from computed ones, or None where none are stored."""
    if (store := sample.store()) is None:
        return None
    view, indices = min(store.views), sample.run.data.train_indices
    rows = np.linspace(0, len(indices) - 1, min(_STORED, len(indices))).astype(int)
    stored = np.asarray(store.read(view)[rows], np.float32)
    return _difference(stored, sample.ensemble(sample.view_images(indices[rows], view)))


def _terms(student, images, losses):
    """Returns {name: (value, gradient as one vector)} of each loss in a step of training."""
    with tf.GradientTape(persistent=True) as tape:
        logits = student(images, training=True)
        values = {name: loss(logits) for name, loss in losses.items()}
    weights, zero = student.trainable_weights, tf.UnconnectedGradients.ZERO
    measured = {}
    for name, value in values.items():
        gradients = tape.gradient(value, weights, unconnected_gradients=zero)
        flat = np.concatenate([np.ravel(gradient) for gradient in gradients])
        measured[name] = float(value), flat.astype(np.float64)
    return measured


def _accuracy(logits, labels):
    return float(np.mean(logits.argmax(axis=-1) == labels))


def _difference(logits, expected):
    """The largest difference as a share of the largest logit."""
    return float(np.abs(logits - expected).max() / max(np.abs(expected).max(), 1e-12))


def _shown(numbers):
    return " ".join(f"{number:.3g}" for number in np.ravel(numbers))
