"""Random crops of an image with a margin of zeros."""

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.storage.fields import Field, at_least_0


class PadCrop(Operation):
    """Pads every side with zeros and cuts out the original size; two offsets are drawn."""

    name = "pad_crop"
    FIELDS = (
        Field("pad", int, "Pixels of padding for a random crop.", 0, "at least 0", at_least_0),
    )
    draws = 2

    @property
    def margin(self):
        """Pixels of padding."""
        return self.pad

    def words(self, view_seed, view, count):
        return randomness.view_words(view_seed, view, count)[:, :2]

    def parameters(self, words):
        """Returns row offset and column offset."""
        return np.floor(randomness.uniforms(words) * (2 * self.pad + 1)).astype(np.int64)

    def rows(self, places, size, parameters):
        return places + parameters[:, 0:1]

    def columns(self, places, size, parameters):
        return places + parameters[:, 1:2]
