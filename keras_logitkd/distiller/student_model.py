"""What a Distiller is to the outside: its student, with `compile` and `fit` as Keras has them."""

import inspect

import keras

from keras_logitkd.distiller import compatibility
from keras_logitkd.distiller.class_weight import fold_class_weight
from keras_logitkd.distiller.epochs import follow, follow_steps
from keras_logitkd.networks.callables import own_errors


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
        was_variable = self._alpha.is_variable
        self._alpha.assign(number)
        if self._alpha.is_variable != was_variable:
            self._compile_steps_again()

    @property
    def _moving(self):
        """What may move during a training: alpha, the distillation loss, the methods' weights."""
        return [self._alpha, self.distillation_loss, *self.features]

    def _compile_steps_again(self):
        """Replaces the compiled steps; a `fit` that is under way takes the new ones."""
        if self.train_function is not None:
            self.make_train_function(force=True)
        if self.test_function is not None:
            self.make_test_function(force=True)

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
            ValueError: If `loss` expects probabilities, does not reduce over the batch or is not a
                loss, or `loss_weights` are given.
        """
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                "`loss_weights` must be None: `alpha` and the weights of `features` weigh the "
                f"terms. Received: loss_weights={kwargs['loss_weights']!r}"
            )
        super().compile(
            optimizer=optimizer, loss=compatibility.hard_loss(loss), metrics=metrics, **kwargs
        )

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
        fold_class_weight(arguments)
        follow(arguments, self, self._moving)
        with self._own_errors():
            return super().fit(**arguments)

    def train_on_batch(self, *args, **kwargs):
        """Trains on one batch. Takes and returns what `keras.Model.train_on_batch` does.

        Schedules by steps follow the optimizer. No epoch begins here: those by epochs stay where
        the last `set_epoch` of the loss, or `fit`, left them; assign `alpha` to move it.
        """
        arguments = inspect.signature(super().train_on_batch).bind(*args, **kwargs).arguments
        fold_class_weight(arguments)
        follow_steps(self, self._moving)
        with self._own_errors():
            return super().train_on_batch(**arguments)

    def evaluate(self, *args, **kwargs):
        """Takes and returns what `keras.Model.evaluate` does."""
        follow_steps(self, self._moving)
        with self._own_errors():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        """Takes and returns what `keras.Model.test_on_batch` does."""
        follow_steps(self, self._moving)
        with self._own_errors():
            return super().test_on_batch(*args, **kwargs)

    def _own_errors(self):
        return own_errors([] if self._teacher is None else self._teacher.models)

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
        return self.student.export(*args, **kwargs)
