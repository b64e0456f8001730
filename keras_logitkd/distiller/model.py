"""The Distiller: a student that learns from its teacher's logits in `model.fit`."""

import warnings

import keras
import tensorflow as tf
from keras import ops

from keras_logitkd.distiller import compatibility
from keras_logitkd.distiller.alpha import Alpha
from keras_logitkd.distiller.batch import Batch
from keras_logitkd.distiller.first_batch import FirstBatch
from keras_logitkd.distiller.settle import settle
from keras_logitkd.distiller.student_model import StudentModel
from keras_logitkd.distiller.terms import feature_term, logit_term, total_of
from keras_logitkd.features import terms as feature_terms
from keras_logitkd.losses import kinds
from keras_logitkd.networks import places, replicas
from keras_logitkd.networks.inference import Ensemble, shares_of


@keras.saving.register_keras_serializable(package="keras_logitkd")
class Distiller(StudentModel):
    """Trains a student on (1 - alpha) * hard loss + alpha * distillation loss (Eqs. 2 and 9).

    The student's own regularisation losses are added. The teacher runs in inference mode outside
    the gradient; it is never changed and never part of what is saved or checkpointed. Calling the
    distiller, and `predict`, give the student's logits. Logged are `loss`, `hard_loss`,
    `distillation_loss`, `agreement` (the share of examples on which teacher and student predict
    the same class; of labels whose logits have equal signs where they end in sigmoids) and the
    metrics of `compile`, which see the student's logits.

    Logits may have any rank: the last axis holds the classes, what is before it are examples and
    their places, such as pixels or tokens. `sample_weight` is one for each example or for each
    place. Places that a mask of Keras's layers or the hard loss's `ignore_class` leaves out count
    in no term and no metric; the means are over the others. A teacher with two logits teaches a
    student with one by z1 - z0, and the other way round.

    Targets are labels, or, where the teacher was run before, the dictionary
    `{"label": labels, "teacher_logits": logits}` with logits of shape `(batch, classes)`, which
    then take the teacher's place. With `alpha=1` labels may be missing altogether. Data without
    a teacher's logits can still be evaluated when `teacher` is None: `loss` is then the hard loss
    with the regularisation, and nothing is logged about a teacher. `sample_weight` and
    `class_weight` act on all terms.

    Feature methods add terms: weight * term each, logged without the weight by the method's name.
    Their taps come from the same forward passes; their auxiliary layers train and are saved with
    the distiller, and are no part of the student. With `alpha=0` and methods the student learns by
    the hard loss and the methods. Where targets carry the teacher's logits, an evaluation leaves
    the terms out, and a method that needs the teacher itself cannot train.

    Args:
        teacher: A `keras.Model` that returns logits, any other callable from a batch to logits,
            which gets NumPy arrays unless it is a Keras layer, a `tf.Module` or a `tf.function`
            (see `from_probabilities` for estimators), a list of such, whose logits are averaged,
            or None when the data carries the logits.
        student: A built `keras.Model` that returns logits.
        distillation_loss: Anything that `losses.get` accepts. Defaults to `"mse"`. None, with
            `features`, leaves that term out.
        alpha: Weight of the distillation loss, in [0, 1]: a number, or a schedule such as
            `"0.1..0.9@20"`, see `losses.schedules.Schedule`. A number may be assigned at any time
            and counts from the next step on; a constant one is compiled into the step, which the
            first assignment compiles again, and no other does. Defaults to 1.0.
        name: Defaults to `"distiller"`.
        features: A feature method, or a list of them, as `features.get` reads them. Defaults to
            None.
        trains: What a stage of a method trains, see `features.stages.Stage`. Defaults to None:
            everything, and methods that have several stages are refused.
        kind: What the logits of the classifier mean: `"softmax"` where its classes exclude each
            other, `"sigmoid"` where each logit stands for itself, as with several labels. Defaults
            to None: what the hard loss says, `"sigmoid"` for one logit, else `"softmax"`.
        teacher_weights: List of numbers, one for each of several teachers: their logits are
            averaged with these weights, divided by their sum. Defaults to None: all the same.

    Raises:
        ValueError: If a model returns no logits, the student is not built, input shapes or class
            counts differ, `alpha` or `distillation_loss` is out of range or not for this kind of
            classifier, or Keras runs on another backend than TensorFlow.

    Example:

    >>> distiller = Distiller(teacher, student, distillation_loss="kl:3", alpha=0.9)
    >>> distiller.compile("adam", metrics=["accuracy"])
    >>> distiller.fit(x_train, y_train, epochs=10)
    >>> distiller.student.save("student.keras")
    """

    def __init__(
        self,
        teacher,
        student,
        distillation_loss="mse",
        alpha=1.0,
        name="distiller",
        features=None,
        trains=None,
        kind=None,
        teacher_weights=None,
        **kwargs,
    ):
        compatibility.check_backend()
        # Without autocast the student gets the inputs as they are, whatever the global policy.
        super().__init__(name=name, autocast=False, **kwargs)
        compatibility.check_student(student)
        self.student = student
        self._alpha = Alpha(alpha)
        self.features = feature_terms.get_all(features)
        self.trains = trains
        self.distillation_loss = compatibility.distillation_loss(distillation_loss, self.features)
        self._given_kind, self._class_weight = kind, None
        self.check_kind(compatibility.classes_of(student))
        # In a plain object, as the teacher: it shares the student's layers.
        weighs = self._alpha.is_ever("teacher_logits")
        self._networks = feature_terms.make(
            self.features, student, trains, weighs and self.distillation_loss
        )
        self._first_batch = FirstBatch()
        self._first_batch.expect("student", [student])
        # Subclasses may have a `set_teacher` of the teacher alone.
        self.set_teacher(teacher, *(() if teacher_weights is None else (teacher_weights,)))
        self._hard_tracker = keras.metrics.Mean(name="hard_loss")
        self._distillation_tracker = keras.metrics.Mean(name="distillation_loss")
        self._agreement_tracker = keras.metrics.Mean(name="agreement")
        self._feature_trackers = [keras.metrics.Mean(name=each.name) for each in self.features]
        self.built = True

    @classmethod
    def for_stage(cls, stage, teacher, student, teacher_weights=None):
        """Returns the distiller of a `Stage`. Arguments and errors are those of the class."""
        return cls(
            teacher,
            student,
            distillation_loss=stage.logit_loss,
            alpha=stage.alpha,
            features=list(stage.features),
            trains=stage.trains,
            teacher_weights=teacher_weights,
        )

    def set_teacher(self, teacher, teacher_weights=None):
        """Sets the teacher, as `__init__` takes it, and raises as it does."""
        models = teacher if isinstance(teacher, list | tuple) else [teacher]
        models = [] if teacher is None else list(models)
        if teacher is not None and not models:
            raise ValueError(
                f"`teacher` must name at least one model, or be None. Received: teacher={teacher!r}"
            )
        models = [compatibility.as_teacher(model, self.student) for model in models]
        self._first_batch.expect("teacher", models)
        # In a plain object, Keras and TensorFlow neither track nor save the teacher.
        shares = shares_of(teacher, teacher_weights)
        self._teacher = Ensemble(models, shares) if models else None
        self._networks.set_teacher(models)
        # XLA cannot compile a call of NumPy. Keras warns where `compile` was asked for it.
        self.supports_jit = not any(getattr(model, "takes_arrays", False) for model in models)
        if self._jit_compile and not self.supports_jit:
            self._jit_compile = None  # setting what is set would do nothing
            self.jit_compile = True
        # Steps compiled for another teacher would go on with it.
        self.train_function = self.test_function = None

    @property
    def trained_variables(self):
        """The variables that a step changes by their gradients."""
        return self._networks.trained_variables

    @property
    def _averages(self):
        """Whether the losses are means over the batch."""
        losses = (self.loss, self.distillation_loss)
        return all(loss is None or loss.reduction != "sum" for loss in losses)

    def train_step(self, data):
        """One update of the student: one forward pass of each network, one backward pass."""
        batch = self._taught(*keras.utils.unpack_x_y_sample_weight(data))
        self._networks.check_targets(batch)
        with tf.GradientTape() as tape:
            self._run_student(batch, training=True)
            self._settle(batch, self._class_weight)
            terms = self._terms(batch, training=True)
            loss = terms["loss"]
            if replicas.count() > 1 and self._averages:
                loss *= replicas.balance(batch.counted)
            scaled_loss = self.optimizer.scale_loss(loss)
        if weights := self.trained_variables:
            gradients = tape.gradient(scaled_loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        else:
            warnings.warn("The student does not have any trainable weights.", stacklevel=1)
        return self._log(batch, terms)

    def test_step(self, data):
        """Evaluates a batch; changes nothing but metrics."""
        batch = self._taught(*keras.utils.unpack_x_y_sample_weight(data))
        self._run_student(batch, training=False)
        self._settle(batch)
        return self._log(batch, self._terms(batch, training=False))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of a batch, a scalar, as `keras.Model.compute_loss` does.

        The terms of feature methods are not in it: they need more than the logits.
        """
        batch = self._taught(x, y, sample_weight)
        batch.student_logits, batch.teacher_taps = y_pred, None
        self._settle(batch)
        return self._terms(batch, training)["loss"]

    def get_config(self):
        """Returns the constructor's arguments without the teacher, which is never saved."""
        serialize = keras.saving.serialize_keras_object
        config = {
            "name": self.name,
            "teacher": None,
            "student": serialize(self.student),
            "distillation_loss": serialize(self.distillation_loss),
            "alpha": self._alpha.schedule.text,
        }
        if self.features:
            config |= {"features": [*map(serialize, self.features)], "trains": self.trains}
        return config | ({"kind": self._given_kind} if self._given_kind else {})

    @classmethod
    def from_config(cls, config, custom_objects=None):
        student = keras.saving.deserialize_keras_object(
            config["student"], custom_objects=custom_objects
        )
        return cls(**{**config, "student": student})

    def _taught(self, x, y, sample_weight=None):
        """The batch with what the teacher says of it."""
        self._first_batch.look(x, self.check_kind(compatibility.classes_of(self.student)))
        batch = Batch.of(x, y, sample_weight)
        if batch.teacher_logits is None and self._teacher is not None:
            if self._networks.teachers:
                self._networks.teach(batch)
            else:
                batch.teacher_logits = self._teacher(x)
        return batch

    def _run_student(self, batch, training):
        if self._networks.applies(batch):
            self._networks.learn(batch, training)
        else:
            batch.student_logits = self(batch.inputs, training=training)

    def _settle(self, batch, class_weight=None):
        logits = batch.teacher_logits if batch.student_logits is None else batch.student_logits
        batch.kind = self.check_kind(None if logits is None else logits.shape[-1])
        settle(batch, batch.kind, self.loss, class_weight)

    def _terms(self, batch, training):
        """The total loss and its parts: scalars, to be summed over the replicas."""
        on_logits = self._logit_terms(batch.teacher_logits is not None, training)
        total, terms = total_of((on_logits, map(feature_term, self.features)), batch)
        if self.losses:
            penalty = sum(ops.cast(ops.sum(loss), "float32") for loss in self.losses)
            total = total + penalty / replicas.count()
        return {"loss": total, **terms}

    def _logit_terms(self, is_taught, training):
        """The terms on logits; without a teacher's an evaluation is by the hard loss."""
        alpha, soft = self._alpha, self.distillation_loss
        is_taught = is_taught or training
        hard_weight = 1.0 if soft and not is_taught else alpha.weight("label", training)
        terms = [logit_term("hard_loss", hard_weight, self.loss, "label", alpha.check_lack)]
        if soft and is_taught:
            place = (alpha.weight("teacher_logits", training), soft, "teacher_logits")
            terms.append(logit_term("distillation_loss", *place, alpha.check_lack))
        return terms

    def _log(self, batch, terms):
        """Updates the metrics and returns those that this batch has the data for."""
        for metric in self.metrics:
            if metric.name in terms:
                metric.update_state(
                    terms[metric.name] * replicas.count(), sample_weight=batch.counted
                )
        seen, student_logits = {*terms}, batch.student_logits
        if batch.teacher_logits is not None and student_logits is not None:
            seen.add("agreement")
            self._agreement_tracker.update_state(
                kinds.agreement(batch.teacher_logits, student_logits, batch.kind),
                sample_weight=places.weights(batch.mask, batch.weight),
            )
        if batch.label is None or student_logits is None:
            logs = self.get_metrics_result()
            return {name: logs[name] for name in logs if name in seen}
        logs = self.compute_metrics(batch.inputs, batch.label, student_logits, batch.weight)
        own = {*feature_terms.LOGGED, *(method.name for method in self.features)}
        return {name: logs[name] for name in logs if name in seen or name not in own}
