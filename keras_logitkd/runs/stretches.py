"""Keras's `fit` from the middle of an epoch on."""

import keras


def fit_from(model, position, epochs, steps, batches, callbacks, **others):
    """Trains from a position on as if there had been no break before it.

    Where it lies inside an epoch, Keras needs one `fit` for the rest of that epoch and another for
    those after it. Callbacks see one training whose epochs have all their steps.

    Args:
        model: a compiled `keras.Model`.
        position: (epoch, step): how many epochs are finished, and how many steps of the next one.
        epochs: trains up to this epoch.
        steps: of an epoch; integer.
        batches: function from (epoch, step) to the dataset that begins there and runs to the end.
        callbacks: list of `keras.callbacks.Callback`.
        **others: of `fit`: `validation_data`, which each epoch ends with, `validation_steps`,
            `class_weight`.
    """
    epoch, step = position
    once = OneTraining(callbacks, add_history=True, model=model, epochs=epochs, steps=steps)
    arguments = {"callbacks": once, "shuffle": False, "verbose": 0, **others}
    if step:
        once.skipped, once.is_last = step, epoch + 1 >= epochs
        model.fit(
            batches(epoch, step),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps - step,
            **arguments,
        )
        epoch += 1
    if not once.is_last:
        once.skipped, once.is_last = 0, True
        data, arguments["steps_per_epoch"] = batches(epoch, 0), steps
        model.fit(data, initial_epoch=epoch, epochs=epochs, **arguments)


class OneTraining(keras.callbacks.CallbackList):
    """Callbacks to which several calls of `fit` are one training.

    Attributes:
        skipped: steps of the epoch that were trained before this call.
        is_last: whether no other call follows.
    """

    def __init__(self, callbacks, **arguments):
        super().__init__(callbacks, **arguments)
        self.skipped, self.is_last = 0, False
        self._has_begun = False

    def on_train_begin(self, logs=None):
        if not self._has_begun:
            super().on_train_begin(logs)
        self._has_begun = True

    def on_train_end(self, logs=None):
        if self.is_last:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.skipped, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.skipped, logs)
