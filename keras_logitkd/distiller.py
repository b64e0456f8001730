"""The Distiller: a student that learns from its teacher's logits in `model.fit`."""

import inspect
import numbers

import keras
import tensorflow as tf
from keras import ops

from keras_logitkd import compatibility, losses
from keras_logitkd.class_weight import fold_class_weight
from keras_logitkd.inference import for_inference


@keras.saving.register_keras_serializable(package="keras_logitkd")
class Distiller(keras.Model):
    """Trains a student on (1 - alpha) * hard loss + alpha * distillation loss (Eqs. 2 and 9).

    The student's own regularisation losses are added. The teacher runs in inference mode outside
    the gradient; it is never changed and never part of what is saved or checkpointed. Calling the
    distiller, and `predict`, give the student's logits. Logged are `loss`, `hard_loss`,
    `distillation_loss`, `agreement` (the share of examples on which teacher and student predict
    the same class) and the metrics of `compile`, which see the student's logits.

    Targets are labels, or, where the teacher was run before, the dictionary
    `{"label": labels, "teacher_logits": logits}` with logits of shape `(batch, classes)`, which
    then take the teacher's place. With `alpha=1` labels may be missing altogether. Data without
    a teacher's logits can still be evaluated when `teacher` is None: `loss` is then the hard loss
    with the regularisation, and nothing is logged about a teacher. `sample_weight` and
    `class_weight` act on both terms.

    Args:
        teacher: A `keras.Model` that returns logits, a list of such models, whose logits are
            averaged, or None when the data carries the logits.
        student: A built `keras.Model` that returns logits.
        distillation_loss: Anything that `losses.get` accepts. Defaults to `"mse"`.
        alpha: Weight of the distillation loss, in [0, 1]. Defaults to 1.0.
        name: Defaults to `"distiller"`.

    Raises:
        ValueError: If a model ends in a softmax, the student is not built, input shapes or class
            counts differ, or `alpha` or `distillation_loss` is out of range.

    Example:

    >>> distiller = Distiller(teacher, student, distillation_loss="kl:3", alpha=0.9)
    >>> distiller.compile("adam", metrics=["accuracy"])
    >>> distiller.fit(x_train, y_train, epochs=10)
    >>> distiller.student.save("student.keras")
    """

    def __init__(
        self, teacher, student, distillation_loss="mse", alpha=1.0, name="distiller", **kwargs
    ):
        # Without autocast the student gets the inputs as they are, whatever the global policy.
        super().__init__(name=name, autocast=False, **kwargs)
        compatibility.check_student(student)
        is_number = isinstance(alpha, numbers.Real) and not isinstance(alpha, bool)
        if not is_number or not 0 <= alpha <= 1:
            raise ValueError(f"`alpha` must be a number in [0, 1]. Received: alpha={alpha!r}")
        self.student = student
        self.alpha = float(alpha)
        self.distillation_loss = losses.get(distillation_loss)
        if self.distillation_loss.reduction in (None, "none"):
            raise ValueError(
                "`distillation_loss` must reduce over the batch. Received: reduction=None"
            )
        self.set_teacher(teacher)
        self._hard_tracker = keras.metrics.Mean(name="hard_loss")
        self._distillation_tracker = keras.metrics.Mean(name="distillation_loss")
        self._agreement_tracker = keras.metrics.Mean(name="agreement")
        self.built = True

    def set_teacher(self, teacher):
        """Sets the teacher: a model, a list of models, or None. Raises as `__init__` does."""
        models = teacher if isinstance(teacher, list | tuple) else [teacher]
        models = [] if teacher is None else list(models)
        if teacher is not None and not models:
            raise ValueError(
                f"`teacher` must name at least one model, or be None. Received: teacher={teacher!r}"
            )
        for model in models:
            compatibility.check_teacher(model, self.student)
        # In a plain object, Keras and TensorFlow neither track nor save the teacher.
        self._teacher = _FrozenEnsemble(models) if models else None
        # Steps compiled for another teacher would go on with it.
        self.train_function = self.test_function = None

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """Configures training, as `keras.Model.compile` does.

        Args:
            optimizer: As in Keras.
            loss: The hard loss, a `keras.losses.Loss` on logits. Defaults to
                `SparseCategoricalCrossentropy(from_logits=True)`; the two names
                `"sparse_categorical_crossentropy"` and `"categorical_crossentropy"` are read as
                losses on logits, too.
            metrics: Metrics of the labels and the student's logits.
            **kwargs: As in Keras.

        Raises:
            ValueError: If `loss` expects probabilities or is not a loss.
        """
        super().compile(
            optimizer=optimizer, loss=compatibility.hard_loss(loss), metrics=metrics, **kwargs
        )

    def compile_from_config(self, config):
        """Compiles with what `get_compile_config` returned, when a distiller is loaded."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def build(self, input_shape=None):
        """Does nothing: the student is built already."""

    def call(self, inputs, training=None):
        """Returns the student's logits."""
        return self.student(inputs, training=training)

    def fit(self, *args, **kwargs):
        """Trains the student. Takes what `keras.Model.fit` takes, and returns its History."""
        arguments = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        fold_class_weight(arguments)
        if hasattr(self.distillation_loss, "set_epoch"):
            callbacks = arguments.get("callbacks") or []
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.callbacks.append(_EpochSetter(self.distillation_loss))
            else:
                callbacks = [*keras.tree.flatten(callbacks), _EpochSetter(self.distillation_loss)]
            arguments["callbacks"] = callbacks
        return super().fit(**arguments)

    def train_on_batch(self, *args, **kwargs):
        """Trains on one batch. Takes and returns what `keras.Model.train_on_batch` does."""
        arguments = inspect.signature(super().train_on_batch).bind(*args, **kwargs).arguments
        fold_class_weight(arguments)
        return super().train_on_batch(**arguments)

    def train_step(self, data):
        """One update of the student: one forward pass of each network, one backward pass."""
        x, y, sample_weight = _unpack(data)
        label, teacher_logits = self._targets(x, y)
        with tf.GradientTape() as tape:
            student_logits = self(x, training=True)
            terms = self._terms(label, teacher_logits, student_logits, sample_weight, True)
            scaled_loss = self.optimizer.scale_loss(terms["loss"])
        weights = self.trainable_weights
        gradients = tape.gradient(scaled_loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return self._log(x, label, teacher_logits, student_logits, sample_weight, terms)

    def test_step(self, data):
        """Evaluates a batch; changes nothing but metrics."""
        x, y, sample_weight = _unpack(data)
        label, teacher_logits = self._targets(x, y)
        student_logits = self(x, training=False)
        terms = self._terms(label, teacher_logits, student_logits, sample_weight, False)
        return self._log(x, label, teacher_logits, student_logits, sample_weight, terms)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the total loss of a batch, a scalar, as `keras.Model.compute_loss` does."""
        label, teacher_logits = self._targets(x, y)
        weight = _one_weight(sample_weight)
        return self._terms(label, teacher_logits, y_pred, weight, training)["loss"]

    def get_metrics_result(self):
        """Returns the metrics by name, without those of `compile` while no label was seen."""
        results = {}
        for metric in self.metrics:
            if getattr(metric, "built", True):
                result = metric.result()
                results.update(result if isinstance(result, dict) else {metric.name: result})
        return results

    def get_config(self):
        """Returns the constructor's arguments without the teacher, which is never saved."""
        return {
            "name": self.name,
            "teacher": None,
            "student": keras.saving.serialize_keras_object(self.student),
            "distillation_loss": keras.saving.serialize_keras_object(self.distillation_loss),
            "alpha": self.alpha,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        student = keras.saving.deserialize_keras_object(
            config["student"], custom_objects=custom_objects
        )
        return cls(**{**config, "student": student})

    def _targets(self, x, y):
        """Labels and teacher logits of a batch; either may be None."""
        if isinstance(y, dict):
            unknown = set(y) - {"label", "teacher_logits"}
            if unknown:
                raise ValueError(
                    'Targets must be labels or a dictionary with the keys "label" and '
                    f'"teacher_logits". Received unknown keys: {sorted(unknown)}'
                )
            if "teacher_logits" in y:
                return y.get("label"), ops.stop_gradient(y["teacher_logits"])
            y = y.get("label")
        return y, None if self._teacher is None else self._teacher(x)

    def _terms(self, label, teacher_logits, student_logits, sample_weight, training):
        """The total loss and its two parts: scalars, to be summed over the replicas."""
        weights = {"hard_loss": 1.0 - self.alpha, "distillation_loss": self.alpha}
        if teacher_logits is None and not training:
            weights = {"hard_loss": 1.0}
        terms = {}
        if label is not None:
            terms["hard_loss"] = self.loss(label, student_logits, sample_weight)
        if teacher_logits is not None:
            terms["distillation_loss"] = self.distillation_loss(
                teacher_logits, student_logits, sample_weight
            )
        missing = [name for name, weight in weights.items() if weight and name not in terms]
        if missing:
            raise ValueError(_MISSING_TARGETS[missing[0]].format(alpha=self.alpha))
        total = sum(weight * terms[name] for name, weight in weights.items() if weight)
        if self.losses:
            penalty = sum(ops.cast(ops.sum(loss), "float32") for loss in self.losses)
            total = total + penalty / _replicas()
        return {"loss": total, **terms}

    def _log(self, x, label, teacher_logits, student_logits, sample_weight, terms):
        """Updates the metrics and returns those that this batch has the data for."""
        count = ops.shape(student_logits)[0]
        for metric in self.metrics:
            if metric.name in terms:
                metric.update_state(terms[metric.name] * _replicas(), sample_weight=count)
        if teacher_logits is not None:
            agrees = ops.argmax(teacher_logits, axis=-1) == ops.argmax(student_logits, axis=-1)
            self._agreement_tracker.update_state(agrees, sample_weight=sample_weight)
        seen = {*terms, "agreement"} if teacher_logits is not None else {*terms}
        if label is None:
            logs = self.get_metrics_result()
            return {name: logs[name] for name in logs if name in seen}
        logs = self.compute_metrics(x, label, student_logits, sample_weight)
        return {name: logs[name] for name in logs if name in seen or name not in _OWN_METRICS}


_OWN_METRICS = ("loss", "hard_loss", "distillation_loss", "agreement")
_MISSING_TARGETS = {
    "hard_loss": "With alpha={alpha} the hard loss needs labels. Received: targets without labels",
    "distillation_loss": (
        "With alpha={alpha} distillation needs a teacher: pass one to Distiller, or targets "
        '{{"label": ..., "teacher_logits": ...}}. Received: neither'
    ),
}


class _FrozenEnsemble:
    """Models whose logits are averaged, in inference mode."""

    def __init__(self, models):
        self.models = [for_inference(model) for model in models]

    def __call__(self, x):
        logits = [ops.cast(model(x, training=False), "float32") for model in self.models]
        return sum(logits) / len(logits)


class _EpochSetter(keras.callbacks.Callback):
    """Tells a loss that depends on the epoch which one begins."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_epoch_begin(self, epoch, logs=None):
        self.loss.set_epoch(epoch)


def _unpack(data):
    """Inputs, targets and one weight per example or None."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, y, _one_weight(sample_weight)


def _one_weight(sample_weight):
    """The weights of the examples: Keras repeats them for each entry of targets in a dict."""
    if isinstance(sample_weight, dict):
        return next(iter(sample_weight.values()))
    return sample_weight


def _replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync
