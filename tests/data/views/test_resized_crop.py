"""Resized crops: their boxes, their pixels, and that they depend on nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.storage.errors import DataError

RNG = np.random.default_rng(2)
# Top, left, height and width.
PINNED = [[86, 178, 182, 208], [3, 100, 197, 205], [90, 174, 189, 215], [70, 86, 183, 241]]


def boxes(augmentation, shape, count=400):
    """Draws the boxes of one view."""
    parameters = augmentation.parameters(0, 0, count)
    seeds = tf.constant(parameters[:, :2], tf.int32)
    crop = augmentation.operations[0]
    draw = tf.function(lambda seed: tf.stack(crop.random_box(shape, seed)))
    return np.array([draw(seed) for seed in seeds])


def test_boxes_lie_inside_and_have_the_promised_area_and_ratio():
    top, left, height, width = boxes(Augmentation(resized_crop=224, flip=True), (300, 400, 3)).T
    assert np.all((top >= 0) & (left >= 0) & (top + height <= 300) & (left + width <= 400))
    area, ratio = height * width / (300 * 400), width / height
    assert area.min() > 0.079
    assert area.max() <= 1
    assert 0.74 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.35
    # Uniform in area but for the largest boxes, which often do not fit.
    assert abs(np.median(area) - 0.5) < 0.06
    assert abs(np.mean(np.log(ratio))) < 0.05
    assert np.mean(top / np.maximum(300 - height, 1)) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("shape", "box"),
    [((10, 100, 3), (0, 43, 10, 13)), ((100, 10, 3), (43, 0, 13, 10)), ((1, 1, 3), (0, 0, 1, 1))],
)
def test_images_without_a_fitting_box_give_their_centre(shape, box):
    whole = Augmentation(resized_crop=8, area=(1.0, 1.0))
    drawn = boxes(whole, shape, count=5)
    np.testing.assert_allclose(drawn, np.tile(box, (5, 1)), atol=1)


def test_a_whole_box_keeps_the_image():
    images = ArrayImages(RNG.integers(0, 256, (4, 6, 6, 3), dtype=np.uint8))
    whole = Augmentation(flip=True, resized_crop=6, area=(1.0, 1.0), ratio=(1.0, 1.0))
    parameters = np.array([[3, 9, 0], [1, 2, 1], [5, 5, 0], [7, 8, 1]])
    views = whole.views(images, np.arange(4), parameters).numpy()
    np.testing.assert_array_equal(views[::2], images.array[::2])
    np.testing.assert_array_equal(views[1::2], images.array[1::2, :, ::-1])


def test_resized_crops_do_not_depend_on_the_batch():
    images = ArrayImages(RNG.integers(0, 256, (9, 20, 16, 1), dtype=np.uint8))
    crops = Augmentation(resized_crop=8, flip=True)
    parameters = crops.parameters(0, 3, 9)
    together = crops.views(images, np.arange(9), parameters).numpy()
    for index in range(9):
        alone = crops.views(images, np.array([index]), parameters[[index]]).numpy()
        np.testing.assert_array_equal(alone[0], together[index])


def test_centre_crops_are_centred():
    image = np.zeros((1, 64, 128, 1), np.uint8)
    image[:, :, 64:] = 200
    crop = Augmentation(resized_crop=28).evaluation(ArrayImages(image), np.array([0])).numpy()
    assert crop.shape == (1, 28, 28, 1)
    np.testing.assert_array_equal(crop[0, :, :12, 0], 0)
    np.testing.assert_array_equal(crop[0, :, 16:, 0], 200)


def test_boxes_are_pinned():
    """The definition of the views: old runs must be resumed in it."""
    crops = Augmentation(resized_crop=8, flip=True)
    assert boxes(crops, (300, 400, 3), count=4).tolist() == PINNED


def test_smaller_views_are_averages_rounded_to_the_nearest():
    """Against the triangle filter in NumPy: 4 pixels become one, of the 8 around its centre."""
    images = ArrayImages(RNG.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8))
    whole = Augmentation(resized_crop=4, area=(1.0, 1.0), ratio=(1.0, 1.0))
    views = whole.views(images, np.arange(8), np.zeros((8, 2), np.int64)).numpy()
    centres, pixels = 4 * np.arange(4)[:, None] + 2, np.arange(16) + 0.5
    weights = np.maximum(0, 1 - np.abs(pixels - centres) / 4)
    weights /= weights.sum(axis=1, keepdims=True)
    exact = weights @ images.array[..., 0] @ weights.T
    assert np.abs(views[..., 0] - exact).max() < 0.5001


def test_centre_crops_leave_out_the_border():
    image = np.zeros((1, 64, 64, 1), np.uint8)
    image[:, 2:62, 2:62] = 90
    image[:, 30:34, 30:34] = 200
    crops = Augmentation(resized_crop=28)  # of 32: 4 pixels of the image on each side are cut off
    crop = crops.evaluation(ArrayImages(image), np.array([0])).numpy()[0, ..., 0]
    assert crop.min() == crop[0, 0] == 90
    np.testing.assert_array_equal(crop, crop[::-1, ::-1])


@pytest.mark.parametrize(
    "settings", [{"pad": -1}, {"resized_crop": 0}, {"resized_crop": 8, "pad": 2}]
)
def test_impossible_augmentations_are_refused(settings):
    with pytest.raises(DataError, match="Received"):
        Augmentation(**settings)
