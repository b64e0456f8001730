"""Where the images of a split are: in memory, in image files or in TFRecords.

Every source is read by index, so that order, views and subsets mean the same for all of them.
"""

import functools

import numpy as np

from keras_logitkd.storage import hashing


class Images:
    """Images by their index, read from disk whenever they are needed.

    A subclass sets `shape` and `count`, and implements `load` and `fingerprint`.
    """

    in_memory = False

    def __len__(self):
        return self.count

    def load(self, index):
        """Returns image `index` (an int) as uint8 array (height, width, channels)."""
        raise NotImplementedError

    def short_side(self, index):
        """Returns the smaller of height and width of image `index` in pixels."""
        return min(self.load(index).shape[:2])

    def bind(self):
        """Prepares reading inside tf.data; call outside of its functions."""

    def image(self, index):
        """Returns the image of scalar tensor `index` as uint8 (height, width, channels)."""
        import tensorflow as tf

        image = tf.numpy_function(self.load, [index], tf.uint8, stateful=False)
        return tf.ensure_shape(image, self.shape)

    def batch(self, index):
        """Returns the images of int64 tensor `index` as uint8 (b, height, width, channels)."""
        import tensorflow as tf

        return tf.map_fn(self.image, index, fn_output_signature=tf.TensorSpec(self.shape, tf.uint8))

    def read(self, indices):
        """Yields the images of an iterable of indices as NumPy arrays."""
        for index in indices:
            yield self.load(index)

    def encoded(self, index):
        """Returns image `index` for storing: an array, or the path of a file to take as it is."""
        return self.load(index)


class ArrayImages(Images):
    """Images held in memory.

    Args:
        array: uint8 array of shape (n, height, width, channels).
    """

    in_memory = True

    def __init__(self, array):
        self.array = np.ascontiguousarray(array, dtype=np.uint8).view()
        self.array.flags.writeable = False
        self.count, self.shape = len(self.array), self.array.shape[1:]

    def fingerprint(self):
        """Returns the sha256 (hex) of shape and bytes."""
        return hashing.of(repr(self.array.shape), self.array.reshape(-1).data)

    @functools.cached_property
    def _tensor(self):
        # One tensor for all datasets: tf.data captures it by reference.
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU:0"):
            tensor = tf.constant(self.array)
        # NumPy reads the tensor's own memory from here on, so that there is one copy.
        self.array = np.asarray(memoryview(tensor))
        return tensor

    def bind(self):
        return self._tensor

    def load(self, index):
        return self.array[index]

    def image(self, index):
        return self._tensor[index]

    def batch(self, index):
        import tensorflow as tf

        return tf.gather(self._tensor, index)
