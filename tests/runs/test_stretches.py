"""A training in two calls of `fit` is one training to its callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.runs.stretches import fit_from

EPOCHS, STEPS = 3, 4


class Seen(keras.callbacks.Callback):
    """The places of all steps, and what a training begins and ends with."""

    def __init__(self):
        super().__init__()
        self.steps, self.others = [], []

    def on_train_begin(self, logs=None):
        self.others.append("begin")

    def on_train_end(self, logs=None):
        self.others.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.others.append(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.steps.append(("begin", self.epoch, batch))

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(("end", self.epoch, batch))


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 3), (2, 2)])
def test_callbacks_see_the_tail_of_one_training(position):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    numbers = tf.data.Dataset.range(EPOCHS * STEPS).map(lambda number: tf.zeros((1, 1)))
    batches, seen, begun = tf.data.Dataset.zip(numbers, numbers), Seen(), []

    def batches_from(epoch, step):
        begun.append((epoch, step))
        return batches.skip(epoch * STEPS + step)

    fit_from(model, position, EPOCHS, STEPS, batches_from, [seen])
    first = position[0] * STEPS + position[1]
    places = [divmod(number, STEPS) for number in range(first, EPOCHS * STEPS)]
    assert seen.steps == [(what, *place) for place in places for what in ("begin", "end")]
    assert seen.others == ["begin", *range(position[0], EPOCHS), "end"]
    assert begun[0] == position
    assert int(np.asarray(model.optimizer.iterations)) == len(places)
