"""The networks of a Distiller with feature methods: which run, on what, and what comes out."""

import logging

import tensorflow as tf
from keras import ops

from keras_logitkd.features.registry import get
from keras_logitkd.features.stages import TRAINS
from keras_logitkd.features.taps import Graph, tapped
from keras_logitkd.features.teacher_models import teacher_with_taps
from keras_logitkd.losses.base import check_choice
from keras_logitkd.networks import places
from keras_logitkd.networks.inference import for_inference

_LOG = logging.getLogger(__name__)

# What a Distiller logs besides the methods' terms and the metrics of `compile`.
LOGGED = ("loss", "hard_loss", "distillation_loss", "agreement")


def get_all(features):
    """Returns the feature methods that `Distiller(features=...)` names, a list.

    Raises:
        ValueError: If one is not known, or has the name of another one or of what is logged.
    """
    given = [] if features is None else features
    methods = [get(each) for each in (given if isinstance(given, list | tuple) else [given])]
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(
            f"`features` must have different names; give one a `name`. Received: {names}"
        )
    if taken := set(names) & set(LOGGED):
        raise ValueError(
            f"`features` must not be named as what a Distiller logs ({', '.join(LOGGED)}). "
            f"Received: {', '.join(taken)}"
        )
    return methods


def make(methods, student, trains, needs_logits):
    """Returns the `FeatureTerms` of a Distiller, which may have no methods.

    Arguments are as for `FeatureTerms`; `trains` may be None, as for `Distiller`.

    Raises:
        ValueError: As `FeatureTerms` does, or if a method has stages and `trains` is None.
    """
    if not methods and trains not in (None, "all"):
        raise ValueError(f"`trains` other than all needs `features`. Received: trains={trains!r}")
    staged = [method.name for method in methods if method.preparation()]
    if trains is None and staged:
        raise ValueError(
            f"{staged[0]} is trained in stages: `for stage in method.stages(epochs): "
            "Distiller.for_stage(stage, teacher, student)`. Received: trains=None"
        )
    return FeatureTerms(methods, student, trains or "all", bool(needs_logits))


class FeatureTerms:
    """The networks with their taps, and the terms over them.

    Args:
        methods: List of `FeatureMethod`; without any, nothing is tapped.
        student: The student.
        trains: See `Stage`.
        needs_logits: Whether the loss has a term on the logits of both networks.

    Raises:
        ValueError: If the student has no such taps, or `trains` is unknown.
    """

    def __init__(self, methods, student, trains="all", needs_logits=True):
        self.methods = methods
        self.trains = check_choice("trains", trains, TRAINS)
        self.needs_logits = needs_logits
        self.teachers = {}
        by_gradient = [method for method in methods if method.needs_gradient]
        if len(by_gradient) > 1:
            names = [method.name for method in by_gradient]
            raise ValueError(f"Only one method may need a gradient of inputs. Received: {names}")
        self._by_gradient = next(iter(by_gradient), None)
        self._student = student
        taps = _union(method.student_taps for method in methods)
        self._whole = self._part = tapped(student, taps) if taps else _WithoutTaps(student)
        self._below = None  # the layers that train, where not all do
        if trains != "all":
            self._part = tapped(student, taps, logits=False) if taps else None
            self._below = Graph(student).layers_of(taps) if trains == "taps" else []

    def set_teacher(self, models):
        """Taps the teacher, and builds the auxiliary layers where that was not done.

        Args:
            models: List of the teachers; empty where there is none yet.

        Raises:
            ValueError: If there are several and taps are needed, one has no such taps, or features
                cannot be connected.
        """
        live = [method for method in self.methods if method.needs_teacher]
        needs_logits = self.needs_logits or len(live) < len(self.methods)
        if live and len(models) > 1:
            raise ValueError(
                f"{live[0].name} needs one teacher to take features from. "
                f"Received: {len(models)} teachers"
            )
        by_arrays = [model.name for model in models if getattr(model, "takes_arrays", False)]
        if by_arrays and self._by_gradient is not None:
            raise ValueError(
                f"{self._by_gradient.name} needs a teacher with gradients: a keras.Model or a "
                f"function of tensors. Received: {by_arrays[0]}, which gets arrays"
            )
        self.teachers, taps = {}, {"moving": []} if live and needs_logits else {}
        for method in live:
            taps.setdefault(method.teacher_bn, []).append(method.teacher_taps)
        for model in models if live else ():
            for statistics in sorted(taps, reverse=True):  # moving ones give the logits
                self.teachers[statistics] = _teacher(model, _union(taps[statistics]), statistics)
        for method in self.methods:
            if models and method.needs_teacher:
                method.prepare(models[0])
            if not method.built and (models or not method.teacher_taps):
                ours = _shapes(self._student, method.student_taps)
                method.build(ours, _shapes(next(iter(models), None), method.teacher_taps))

    @property
    def trained_variables(self):
        """The variables that a step changes by their gradients."""
        layers = [self._student] if self._below is None else self._below
        trained = [weight for layer in layers for weight in layer.trainable_weights]
        trained.extend(weight for method in self.methods for weight in method.trainable_weights)
        return list({id(weight): weight for weight in trained}.values())

    @property
    def gives_logits(self):
        """Whether what teaches also gives its logits as it predicts, by moving statistics."""
        return not self.teachers or "moving" in self.teachers

    def check_targets(self, batch):
        """Raises ValueError where the data of a training step lack what a method needs."""
        if lack := self._lack(batch):
            raise ValueError(lack)

    def applies(self, batch):
        """Whether there are methods, and the batch has what all of them need."""
        return bool(self.methods) and self._lack(batch) is None

    def _lack(self, batch):
        """What a method needs and a batch does not have, in words, or None."""
        name = next((each.name for each in self.methods if each.needs_teacher), None)
        if name and batch.teacher_taps is None:
            stored = batch.teacher_logits is not None
            received = 'targets with "teacher_logits"' if stored else "teacher=None"
            return f"{name} needs the teacher itself beside the student. Received: {received}"
        if self.methods and batch.teacher_logits is None:
            return f"{self.methods[0].name} needs a teacher. Received: teacher=None"
        for attribute, key in (("needs_labels", "label"), ("needs_indices", "index")):
            names = [method.name for method in self.methods if getattr(method, attribute)]
            if names and getattr(batch, key) is None:
                return (
                    f'{names[0]} needs the {key} of each example: targets {{"label": ..., '
                    f'"index": ...}}. Received: targets without {key}'
                )
        return None

    def teach(self, batch):
        """Runs the teacher in place: its logits, taps and gradient."""
        batch.teacher_taps, method = {}, self._by_gradient
        for statistics, teacher in self.teachers.items():
            if method is not None and method.teacher_bn == statistics:
                outputs, batch.teacher_gradient = _with_gradient(
                    teacher, batch, method, "teacher", False
                )
            else:
                outputs = teacher(batch.inputs, training=False)
            outputs = {name: places.as_float32(each) for name, each in outputs.items()}
            logits = outputs.pop("logits")
            if batch.teacher_logits is None:
                batch.teacher_logits = logits
            batch.teacher_taps[statistics] = outputs

    def learn(self, batch, training):
        """Runs the student in place: its logits, unless it stops below them, taps, gradient."""
        batch.training = training
        student, method = (self._part if training else self._whole), self._by_gradient
        if student is None:
            batch.student_taps = {}
            return
        if method is None:
            outputs = student(batch.inputs, training=training)
        elif training and not method.jac_training:
            outputs = student(batch.inputs, training=True)
            _, batch.student_gradient = _with_gradient(student, batch, method, "student", False)
        else:
            outputs, batch.student_gradient = _with_gradient(
                student, batch, method, "student", training
            )
        batch.student_taps = dict(outputs)
        batch.student_logits = batch.student_taps.pop("logits", None)


def value_of(method, batch):
    """Returns the term of a method, a scalar to be summed over the replicas.

    Values are averaged over the places that count, that of an example as if it were each of its
    places'. Taps lose their Keras masks, which auxiliary layers would take for their own.
    """
    teacher = method.teacher_features(batch)
    taps = [ops.cast(batch.student_taps[name], "float32") for name in method.student_taps]
    value = method.loss(teacher, [*map(tf.identity, taps)], batch)
    if len(value.shape):
        value = places.mean(value, batch.mask, batch.weight)
    elif not method.takes_weights and (batch.mask is not None or batch.weight is not None):
        _LOG.warning("Weights and masks do not act on %s: it has one value a batch", method.name)
    return value / tf.distribute.get_strategy().num_replicas_in_sync


def _shapes(model, taps):
    return [Graph(model).tensor(tap).shape for tap in taps]


def _teacher(model, taps, statistics):
    if taps:
        return teacher_with_taps(model, taps, statistics)
    return _WithoutTaps(for_inference(model))


class _WithoutTaps:
    """A model of which only the logits are wanted; its graph need not be known."""

    def __init__(self, model):
        self.model = model

    def __call__(self, inputs, training):
        return {"logits": self.model(inputs, training=training)}


def _with_gradient(model, batch, method, role, training):
    """The outputs of a model, and the gradient of the method's score in the inputs."""
    inputs = ops.cast(batch.inputs, "float32")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=training)
        taps = [ops.cast(outputs[name], "float32") for name in getattr(method, f"{role}_taps")]
        score = method.score(role, ops.cast(outputs["logits"], "float32"), taps, batch)
    return outputs, tape.gradient(score, inputs)


def _union(names):
    """Names in the order in which they first come."""
    return list(dict.fromkeys(name for some in names for name in some))
