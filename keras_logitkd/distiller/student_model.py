"""What a Distiller is to the outside: its student, with `compile` and `fit` as Keras has them."""

import contextlib
import inspect

import keras
import tensorflow as tf

from keras_logitkd.distiller import compatibility
from keras_logitkd.distiller.epochs import follow, follow_steps
from keras_logitkd.distiller.hard_losses import hard_loss
from keras_logitkd.distiller.metrics import on_logits
from keras_logitkd.losses import kinds, refusals
from keras_logitkd.networks import places
from keras_logitkd.networks.callables import own_errors
from keras_logitkd.networks.layers import exportable


class StudentModel(keras.Model):
    """Base of the Distiller: the methods of `keras.Model` beside the steps.

    A subclass has `student`, `distillation_loss`, `features`, `trained_variables`, `_alpha` and
    `_networks`.
    """

    @property
    def alpha(self):
        """The weight of the distillation loss now, a float."""
        return self._alpha.value

    @alpha.setter
    def alpha(self, number):
        if not self._networks.gives_logits and number:
            raise ValueError(
                "`alpha` was 0 when the Distiller was made, and its methods' teacher gives no "
                f"logits as it predicts: pass a schedule instead. Received: alpha={number!r}"
            )
        was_variable, trained_on = self._alpha.is_variable, self._alpha.trains_on
        self._alpha.assign(number)
        if self._alpha.is_variable != was_variable:
            self._compile_again(training=not trained_on)

    @property
    def _moving(self):
        """What may move during a training: alpha, the distillation loss, the methods' weights."""
        return [self._alpha, self.distillation_loss, *self.features]

    def _compile_again(self, training):
        """Replaces the compiled steps, that of training if so; a `fit` that runs takes them."""
        if training and self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """Configures training, as `keras.Model.compile` does.

        Args:
            optimizer: As in Keras.
            loss: The hard loss, a `keras.losses.Loss` on logits, or the name of one, such as
                `"binary_crossentropy"`, which is read as a loss on logits, too. Defaults to the
                cross-entropy that labels and logits ask for: of the numbers of classes, of one-hot
                labels, or the binary one for one logit and for `kind="sigmoid"`.
            metrics: Metrics of the labels and the student's logits. `"accuracy"` of a classifier
                that ends in sigmoids is the share of logits on the right side of 0.
            **kwargs: As in Keras.

        Raises:
            ValueError: If `loss` expects probabilities, does not reduce over the batch, is not a
                loss or not one of this kind of classifier, or `loss_weights` are given.
        """
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                "`loss_weights` must be None: `alpha` and the weights of `features` weigh the "
                f"terms. Received: loss_weights={kwargs['loss_weights']!r}"
            )
        classes = compatibility.classes_of(self.student)
        loss = hard_loss(loss, kinds.kind_of(self._given_kind, None, classes))
        kind = self.check_kind(classes, loss)
        weighted = on_logits(kwargs.pop("weighted_metrics", None), kind)
        metrics = on_logits(metrics, kind)
        super().compile(optimizer, loss, metrics=metrics, weighted_metrics=weighted, **kwargs)

    def check_kind(self, classes, loss=None):
        """Returns the kind of classifier of so many logits, see `losses.kinds`, or None.

        Args:
            classes: number of logits, or None while it is not known.
            loss: the hard loss. Defaults to that of `compile`.

        Raises:
            ValueError: If the hard loss or a term is not for that kind.
        """
        loss = loss or (self.loss if self.compiled else None)
        kind = kinds.kind_of(self._given_kind, loss, classes)
        kinds.check_terms(kind, self.distillation_loss, self.features)
        return kind

    def compile_from_config(self, config):
        """Compiles with what `get_compile_config` returned, when a distiller is loaded."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trained_variables)

    def build(self, input_shape=None):
        """Does nothing: the student is built already."""

    def call(self, inputs, training=None):
        """Returns the student's logits."""
        return self.student(inputs, training=training)

    def fit(self, *args, **kwargs):
        """Trains the student. Takes what `keras.Model.fit` takes, and returns its History.

        Schedules follow the epochs, `initial_epoch` among them, or the optimizer's updates.
        """
        arguments = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        self._weigh_classes(arguments)
        follow(arguments, self, self._moving)
        with self._running("train_function"):
            return super().fit(**arguments)

    def train_on_batch(self, *args, **kwargs):
        """Trains on one batch. Takes and returns what `keras.Model.train_on_batch` does.

        Schedules by steps follow the optimizer. No epoch begins here: those by epochs stay where
        the last `set_epoch` of the loss, or `fit`, left them; assign `alpha` to move it.
        """
        arguments = inspect.signature(super().train_on_batch).bind(*args, **kwargs).arguments
        self._weigh_classes(arguments)
        follow_steps(self, self._moving)
        with self._running("train_function"):
            return super().train_on_batch(**arguments)

    def evaluate(self, *args, **kwargs):
        """Takes and returns what `keras.Model.evaluate` does."""
        follow_steps(self, self._moving)
        with self._running("test_function"):
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        """Takes and returns what `keras.Model.test_on_batch` does."""
        follow_steps(self, self._moving)
        with self._running("test_function"):
            return super().test_on_batch(*args, **kwargs)

    def _weigh_classes(self, arguments):
        """Takes class weights out of the arguments of `fit`, by name and in place.

        Keras would look for them in labels of one axis alone; steps weigh the labels themselves.
        """
        if self._class_weight != arguments.get("class_weight"):
            self.train_function = None  # it would go on with those that it was traced with
        self._class_weight = arguments.pop("class_weight", None)

    @contextlib.contextmanager
    def _running(self, function):
        """A context for what runs a compiled step: errors come in one line, metrics may be new.

        Args:
            function: `"train_function"` or `"test_function"`.
        """
        # Without labels none were built, and a step cannot do that after it was traced.
        metrics = self._compile_metrics
        if metrics is not None and not metrics.built:
            setattr(self, function, None)
        teachers = [] if self._teacher is None else self._teacher.models
        try:
            with own_errors(teachers):
                yield
        except tf.errors.InvalidArgumentError as error:
            if (message := refusals.message_of(error)) is None:
                raise
            raise ValueError(message) from None

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """As `keras.Model.compute_metrics`; places that a mask leaves out count in no metric."""
        metrics, mask = self._compile_metrics, places.mask_of(y_pred)
        if metrics is None or mask is None:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        if not metrics.built:
            metrics.build(y, y_pred)
        # Keras's own metrics of means know masks, its others weights alone.
        for each in filter(None, metrics._flat_metrics):
            each.update_state(y, y_pred, keras.ops.cast(mask, "int32"))
        for each in filter(None, metrics._flat_weighted_metrics):
            each.update_state(y, y_pred, places.weights(mask, sample_weight))
        return self.get_metrics_result()

    def get_metrics_result(self):
        """Returns the metrics by name, without those of `compile` while no label was seen."""
        results = {}
        for metric in self.metrics:
            if getattr(metric, "built", True):
                result = metric.result()
                results.update(result if isinstance(result, dict) else {metric.name: result})
        return results

    def export(self, *args, **kwargs):
        """Exports the student. Takes what `keras.Model.export` takes."""
        return exportable(self.student).export(*args, **kwargs)
