import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.features.labels import class_numbers

NUMBERS = np.array([[0, 2, 1], [1, 1, 2]])


def test_labels_are_read_by_their_shape(draw):
    logits = draw(2, 3, 3)
    for labels in (NUMBERS, NUMBERS[..., None], np.eye(3, dtype=np.float32)[NUMBERS]):
        np.testing.assert_array_equal(class_numbers(labels, logits), NUMBERS)
    np.testing.assert_array_equal(class_numbers(np.eye(3, dtype=int), draw(3, 3)), [0, 1, 2])
    np.testing.assert_array_equal(class_numbers([2, 0, 1], draw(3, 3)), [2, 0, 1])
    square = np.array([[0, 1, 2], [2, 1, 0], [0, 0, 1]])  # one-hot for no logits with places
    np.testing.assert_array_equal(class_numbers(square, draw(3, 3, 3)), square)


def test_batches_of_unknown_size(draw):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.int64), tf.TensorSpec([None, 3, 5])])
    def traced(labels, logits):
        return class_numbers(labels, logits)

    np.testing.assert_array_equal(traced(NUMBERS, draw(2, 3, 5)), NUMBERS)


@pytest.mark.parametrize("shape", [(2,), (2, 4), (2, 3, 4), (2, 3, 5, 1), (3, 2)])
def test_labels_of_another_shape_are_refused(draw, shape):
    message = r"Labels must be class numbers of shape \(2, 3\) or \(2, 3, 1\), or one-hot of shape"
    with pytest.raises(ValueError, match=message) as error:
        class_numbers(np.zeros(shape, int), draw(2, 3, 5))
    assert "\n" not in str(error.value)
