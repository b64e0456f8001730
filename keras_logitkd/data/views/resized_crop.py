"""Random boxes of an image at another size, and the centre of it for evaluation."""

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.data.views.operation import Operation
from keras_logitkd.storage.errors import DataError
from keras_logitkd.storage.fields import Field

_ATTEMPTS = 10


class ResizedCrop(Operation):
    """Cuts a random box out of each image and resizes it to a square of `resized_crop` pixels.

    Evaluation resizes the short side to 256/224 of it and crops the centre.
    """

    name = "resized_crop"
    FIELDS = (
        Field("resized_crop", int | None, "Side in pixels of a random resized crop.", None),
        # The smallest and largest share of the image, and width/height, of a box.
        Field("area", tuple, None, (0.08, 1.0)),
        Field("ratio", tuple, None, (3 / 4, 4 / 3)),
    )
    draws = 2
    evaluation_fields = ("resized_crop",)

    def check(self, fields):
        if self.resized_crop is not None and (self.resized_crop < 1 or fields["pad"]):
            raise DataError(
                "`resized_crop` must be a positive size and excludes `pad`. "
                f"Received: resized_crop={self.resized_crop}, pad={fields['pad']}"
            )

    def output_shape(self, shape):
        return (self.resized_crop, self.resized_crop, shape[-1])

    def words(self, view_seed, view, count):
        return randomness.view_words(view_seed, view, count)[:, :2]

    def parameters(self, words):
        """Returns the seed of the box."""
        return (words >> np.uint64(33)).astype(np.int64)

    def read(self, images, index, parameters):
        """Returns random boxes, uint8 (b, side, side, channels)."""
        import tensorflow as tf

        def cut(item):
            image = images.image(item[0])
            seed = tf.cast(item[1], tf.int32)
            top, left, height, width = self.random_box(tf.shape(image), seed)
            box = image[top : top + height, left : left + width]
            return resize(box, (self.resized_crop, self.resized_crop))

        return tf.map_fn(cut, (index, parameters), fn_output_signature=self._spec(images))

    def read_evaluation(self, images, index):
        """Returns the centres, uint8 (b, side, side, channels)."""
        import tensorflow as tf

        side = self.resized_crop

        def cut(position):
            image = images.image(position)
            shape = tf.shape(image)[:2]
            scaled = shape * short_side_of(side) / tf.reduce_min(shape)
            resized = resize(image, tf.cast(tf.round(scaled), tf.int32))
            top, left = tf.unstack((tf.shape(resized)[:2] - side) // 2)
            return resized[top : top + side, left : left + side]

        return tf.map_fn(cut, index, fn_output_signature=self._spec(images))

    def random_box(self, shape, seed):
        """Draws a box as torchvision's RandomResizedCrop does: the first of ten that fits.

        Args:
            shape: of the image, (height, width, channels).
            seed: int32 tensor (2,).

        Returns:
            List of int32 scalars: top, left, height, width.
        """
        import tensorflow as tf

        height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
        draws = tf.random.stateless_uniform((_ATTEMPTS, 4), seed, alg="philox")
        (least, most), (narrow, wide) = self.area, self.ratio
        area = height * width * (least + (most - least) * draws[:, 0])
        ratio = tf.exp(tf.math.log(narrow) + tf.math.log(wide / narrow) * draws[:, 1])
        widths, heights = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        chosen = tf.argmax(fits)
        if_none = tf.where(width > wide * height, wide * height, width)
        widest = tf.maximum(1.0, tf.round(if_none))
        if_none = tf.where(width < narrow * height, width / narrow, height)
        highest = tf.maximum(1.0, tf.round(if_none))
        found = tf.reduce_any(fits)
        box_height = tf.where(found, heights[chosen], highest)
        box_width = tf.where(found, widths[chosen], widest)
        centred = tf.constant([0.5, 0.5])
        share = tf.where(found, draws[chosen, 2:], centred)
        down, right = share[0] * (height - box_height + 1), share[1] * (width - box_width + 1)
        top = tf.minimum(tf.floor(down), height - box_height)
        left = tf.minimum(tf.floor(right), width - box_width)
        return [tf.cast(value, tf.int32) for value in (top, left, box_height, box_width)]

    def _spec(self, images):
        import tensorflow as tf

        return tf.TensorSpec(self.output_shape(images.shape), tf.uint8)


def short_side_of(side):
    """Returns the pixels of the short side of which an evaluation crops `side` x `side`."""
    return round(side * 256 / 224)


def resize(image, size):
    """Returns a uint8 image of shape (height, width, channels) in another size (height, width)."""
    import tensorflow as tf

    resized = tf.image.resize(image, size, antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
