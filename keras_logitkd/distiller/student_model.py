"""What a Distiller is to the outside: its student, with `compile` and `fit` as Keras has them."""

import inspect

import keras

from keras_logitkd.distiller import compatibility
from keras_logitkd.distiller.class_weight import fold_class_weight
from keras_logitkd.distiller.epochs import follow_epochs
from keras_logitkd.networks.callables import own_errors
from keras_logitkd.networks.layers import exportable


class StudentModel(keras.Model):
    """Base of the Distiller: the methods of `keras.Model` beside the steps.

    A subclass has `student`, `distillation_loss`, `features` and `trained_variables`.
    """

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
        """Trains the student. Takes what `keras.Model.fit` takes, and returns its History."""
        arguments = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        fold_class_weight(arguments)
        follow_epochs(arguments, self.distillation_loss, self.features)
        with self._own_errors():
            return super().fit(**arguments)

    def train_on_batch(self, *args, **kwargs):
        """Trains on one batch. Takes and returns what `keras.Model.train_on_batch` does."""
        arguments = inspect.signature(super().train_on_batch).bind(*args, **kwargs).arguments
        fold_class_weight(arguments)
        with self._own_errors():
            return super().train_on_batch(**arguments)

    def evaluate(self, *args, **kwargs):
        """Takes and returns what `keras.Model.evaluate` does."""
        with self._own_errors():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        """Takes and returns what `keras.Model.test_on_batch` does."""
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
        return exportable(self.student).export(*args, **kwargs)
