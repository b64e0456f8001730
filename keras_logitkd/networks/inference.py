"""Networks that only run forward: the same outputs for less arithmetic."""

import math
from numbers import Real

import keras
import tensorflow as tf
from keras import ops

from keras_logitkd.networks import places

_LEAST_CHANNELS = 128  # below, the passes over memory cost more than the products they save


def for_inference(model):
    """Returns a network with the outputs of `model`, up to rounding, that is faster on CPUs.

    Its 3x3 convolutions of at least 128 channels compute two rows at a time, with two thirds of the
    products (Winograd's F(2, 3) along the height). It shares its layers and variables with `model`,
    which does not change; weights that `model` gets later count. It is meant for float32 and for
    calls with `training=False`.

    Args:
        model: A built `keras.Model`.

    Returns:
        A `keras.Model`, or `model` itself where nothing would be gained: with a GPU, without such
        convolutions in its own layers, or where the graph of its layers is not known.
    """
    # A subclass may have a `call` of its own.
    is_graph = type(model).__name__ in ("Functional", "Sequential")
    if not is_graph or tf.config.get_visible_devices("GPU"):
        return model
    if not any(_gains(layer) for layer in model.layers):
        return model
    return keras.models.clone_model(
        model, clone_function=lambda layer: _TwoRowConv2D(layer) if _gains(layer) else layer
    )


class Ensemble:
    """Models whose logits are averaged, in inference mode.

    Args:
        models: list of models.
        shares: of each in the average, a list of numbers. Defaults to None: all the same.
    """

    def __init__(self, models, shares=None):
        self.models, self.shares = [for_inference(model) for model in models], shares

    def __call__(self, x):
        outputs = [model(x, training=False) for model in self.models]
        logits = [ops.cast(each, "float32") for each in outputs]
        if self.shares is None:
            mean = sum(logits) / len(logits)
        else:
            mean = sum(share * each for share, each in zip(self.shares, logits, strict=True))
        mask = places.common(map(places.mask_of, outputs))
        return mean if mask is None else places.with_mask(mean, mask)


def shares_of(teachers, weights):
    """Returns the shares that weights give to teachers, or None where all are the same.

    Args:
        teachers: a list, or what is no list, which takes no weights.
        weights: list of numbers, one a teacher, or None.

    Raises:
        ValueError: If there are not as many weights as teachers in a list, one is negative or not
            finite, or all are 0.
    """
    if weights is None:
        return None
    count = len(teachers) if isinstance(teachers, list | tuple) else 0
    given = weights if isinstance(weights, list | tuple) else ()
    numbers = [
        float(each) for each in given if isinstance(each, Real) and not isinstance(each, bool)
    ]
    fits = len(numbers) == len(given) == count and all(0 <= each < math.inf for each in numbers)
    if not fits or not any(numbers):
        raise ValueError(
            "`teacher_weights` must be a list of numbers, one for each teacher of a list, at least "
            f"0 and not all 0. Received: teacher_weights={weights!r} for {count} in a list"
        )
    if len(set(numbers)) == 1:
        return None
    largest = max(numbers)  # no sum overflows
    return [each / largest / sum(other / largest for other in numbers) for each in numbers]


def _gains(layer):
    return (
        type(layer) is keras.layers.Conv2D
        and layer.kernel_size == (3, 3)
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.padding == "same"
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and layer.dtype_policy.name == "float32"
        and min(layer.kernel.shape[2:]) >= _LEAST_CHANNELS
    )


class _TwoRowConv2D(keras.layers.Layer):
    """A convolution that was built, by `two_row_conv2d` where the number of rows is even."""

    def __init__(self, conv):
        super().__init__(name=conv.name)
        self.conv = conv
        self.built = True

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        if height is None or width is None or height % 2:
            return self.conv(inputs)
        outputs = two_row_conv2d(inputs, tf.convert_to_tensor(self.conv.kernel))
        if self.conv.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.conv.bias))
        return self.conv.activation(outputs)


def two_row_conv2d(x, kernel):
    """Convolves with a 3x3 kernel, stride 1 and "same" padding, two rows of outputs at a time.

    In a pair of rows e and o, below the row p and above the row n, a kernel with the rows a, b, c
    gives a*p + b*e + c*o and a*e + b*o + c*n. Four products do for these six: a*o (which is a*p of
    the pair below), c*e (c*n of the pair above), (a + b + c) * (e + o) and (a - b + c) * (o - e).

    Args:
        x: Tensor of shape `(batch, height, width, channels)`, height even, all but the batch known.
        kernel: Tensor of shape `(3, 3, channels, filters)`.

    Returns:
        A tensor of shape `(batch, height, width, filters)`.
    """
    height, width, channels = x.shape[1:]
    even, odd = tf.unstack(tf.reshape(x, (-1, height // 2, 2, width, channels)), axis=2)
    a, b, c = tf.unstack(kernel)

    def product(rows, kernel_row):
        return tf.nn.conv2d(rows, kernel_row[None], strides=1, padding="SAME")

    a_odd, c_even = product(odd, a), product(even, c)
    both = product(even + odd, (a + b + c) / 2)
    difference = product(odd - even, (a - b + c) / 2)
    a_above = tf.pad(a_odd[:, :-1], [[0, 0], [1, 0], [0, 0], [0, 0]])
    c_below = tf.pad(c_even[:, 1:], [[0, 0], [0, 1], [0, 0], [0, 0]])
    # No sum of three: add_n, which TensorFlow makes of one, too, begins with whichever buffer is
    # free, so that its last bits would depend on the timing of threads.
    first = (both + difference) - (a_odd - a_above)
    second = (both + c_below) - (difference + c_even)
    return tf.reshape(tf.stack([first, second], axis=2), (-1, height, width, kernel.shape[-1]))
