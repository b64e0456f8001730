"""Augmentation of whole batches as a pure function of (view seed, view, index)."""

import dataclasses
from typing import ClassVar

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.storage.errors import DataError

_DRAWS = 3
_ATTEMPTS = 10


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What a view does to an image.

    Args:
        pad: pixels of zero padding on every side before a random crop of the original size.
            Defaults to 0.
        flip: whether half of the views are mirrored left to right. Defaults to False.
        resized_crop: side in pixels of a random resized crop; evaluation then resizes the short
            side to 256/224 of it and crops the centre. Defaults to None: images keep their size.
        area: smallest and largest share of the image that a resized crop takes.
        ratio: smallest and largest width/height of a resized crop.
    """

    ALWAYS: ClassVar = ("pad", "flip", "resized_crop", "area", "ratio")  # see storage.schema

    pad: int = 0
    flip: bool = False
    resized_crop: int | None = None
    area: tuple = (0.08, 1.0)
    ratio: tuple = (3 / 4, 4 / 3)

    def __post_init__(self):
        if self.pad < 0:
            raise DataError(f"`pad` must be at least 0. Received: pad={self.pad}")
        if self.resized_crop is not None and (self.resized_crop < 1 or self.pad):
            raise DataError(
                "`resized_crop` must be a positive size and excludes `pad`. "
                f"Received: resized_crop={self.resized_crop}, pad={self.pad}"
            )

    @property
    def random(self):
        """Whether views differ from each other."""
        return bool(self.pad or self.flip or self.resized_crop)

    def output_shape(self, image_shape):
        """Returns the shape of a view of an image of shape (height, width, channels)."""
        if self.resized_crop is None:
            return tuple(image_shape)
        return (self.resized_crop, self.resized_crop, image_shape[-1])


NONE = Augmentation()


def view_parameters(augmentation, view_seed, view, count):
    """Draws the parameters of one view of every example.

    Row i depends on (view seed, view, i) alone: neither on the count nor on what is batched with
    it.

    Args:
        augmentation: an `Augmentation`.
        view_seed: integer.
        view: integer >= 0.
        count: examples in the split.

    Returns:
        int64 array of shape (count, 3): row offset, column offset, mirrored (0 or 1). For a
        resized crop the first two are a seed.
    """
    raw = randomness.words(randomness.VIEW, view_seed, view, count * _DRAWS).reshape(count, _DRAWS)
    if augmentation.resized_crop is None:
        positions = np.floor(randomness.uniforms(raw[:, :2]) * (2 * augmentation.pad + 1))
    else:
        positions = raw[:, :2] >> np.uint64(33)
    mirrored = (raw[:, 2:] >> np.uint64(63)) * np.uint64(augmentation.flip)
    return np.concatenate([positions.astype(np.int64), mirrored.astype(np.int64)], axis=1)


def crop_and_flip(augmentation, images, parameters):
    """Pads, crops and mirrors a batch by one gather of rows and one of columns.

    Args:
        augmentation: an `Augmentation` without `resized_crop`.
        images: tensor of shape (b, height, width, channels).
        parameters: int64 tensor (b, 3), rows of `view_parameters`.

    Returns:
        Tensor like `images`.
    """
    import tensorflow as tf

    pad = augmentation.pad
    height, width = images.shape[1:3]
    if pad:
        images = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        rows = parameters[:, 0:1] + tf.range(height, dtype=tf.int64)
        images = tf.gather(images, rows, axis=1, batch_dims=1)
    if pad or augmentation.flip:
        columns = tf.range(width, dtype=tf.int64)
        columns = tf.where(parameters[:, 2:3] == 1, width - 1 - columns, columns)
        if pad:
            columns += parameters[:, 1:2]
        images = tf.gather(images, columns, axis=2, batch_dims=1)
    return images


def resized_crops(augmentation, images, index, parameters):
    """Cuts a random box out of each image and resizes it.

    Args:
        augmentation: an `Augmentation` with `resized_crop`.
        images: a bound source, see `keras_logitkd.data.sources`.
        index: int64 tensor (b,).
        parameters: int64 tensor (b, 3), rows of `view_parameters`.

    Returns:
        uint8 tensor (b, size, size, channels).
    """
    import tensorflow as tf

    size = augmentation.resized_crop

    def cut(item):
        image = images.image(item[0])
        seed, mirrored = tf.cast(item[1][:2], tf.int32), item[1][2] == 1
        top, left, height, width = _random_box(augmentation, tf.shape(image), seed)
        view = _resize(image[top : top + height, left : left + width], (size, size))
        return tf.cond(mirrored, lambda: view[:, ::-1], lambda: view)

    spec = tf.TensorSpec((size, size, images.shape[-1]), tf.uint8)
    return tf.map_fn(cut, (index, parameters), fn_output_signature=spec)


def _random_box(augmentation, shape, seed):
    """Draws a box as torchvision's RandomResizedCrop does: the first of ten that fits."""
    import tensorflow as tf

    height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
    draws = tf.random.stateless_uniform((_ATTEMPTS, 4), seed, alg="philox")
    (least, most), (narrow, wide) = augmentation.area, augmentation.ratio
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


def _resize(image, size):
    import tensorflow as tf

    resized = tf.image.resize(image, size, antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)


def centre_crops(augmentation, images, index):
    """Resizes the short side of each image to 256/224 of the crop and cuts out the centre.

    Args:
        augmentation: an `Augmentation` with `resized_crop`.
        images: a bound source, see `keras_logitkd.data.sources`.
        index: int64 tensor (b,).

    Returns:
        uint8 tensor (b, size, size, channels).
    """
    import tensorflow as tf

    size = augmentation.resized_crop
    short_side = round(size * 256 / 224)

    def cut(position):
        image = images.image(position)
        shape = tf.shape(image)[:2]
        scaled = shape * short_side / tf.reduce_min(shape)
        resized = _resize(image, tf.cast(tf.round(scaled), tf.int32))
        top, left = tf.unstack((tf.shape(resized)[:2] - size) // 2)
        return resized[top : top + size, left : left + size]

    spec = tf.TensorSpec((size, size, images.shape[-1]), tf.uint8)
    return tf.map_fn(cut, index, fn_output_signature=spec)
