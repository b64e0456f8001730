"""Mirror images."""

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.storage.fields import Field


class Flip(Operation):
    """Mirrors half of the views left to right."""

    name = "flip"
    FIELDS = (Field("flip", bool, "Mirror images at random.", False),)
    draws = 1

    def words(self, view_seed, view, count):
        return randomness.view_words(view_seed, view, count)[:, 2:]

    def parameters(self, words):
        """Returns 1 where a view is mirrored, else 0."""
        return (words >> np.uint64(63)).astype(np.int64)

    def columns(self, places, size, parameters):
        import tensorflow as tf

        return tf.where(parameters == 1, size - 1 - places, places)
