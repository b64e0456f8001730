"""Refusals of values that are not there while a graph is traced, on TensorFlow."""

import re

import keras

_MARK = "keras_logitkd: "


def unless(holds, message, tensor):
    """Returns a tensor that cannot be computed unless something holds of the values.

    Eagerly a ValueError says the message. In a graph of TensorFlow the step fails, and nothing that
    depends on the tensor is done; `message_of` finds the message in the error. XLA and other
    backends leave the check out.

    Args:
        holds: bool scalar, a tensor.
        message: one line.
        tensor: what depends on it.
    """
    if keras.backend.backend() != "tensorflow":
        return tensor
    import tensorflow as tf

    if tf.executing_eagerly():
        if not holds:
            raise ValueError(message)
        return tensor
    with tf.control_dependencies([tf.debugging.Assert(holds, [_MARK + message])]):
        return tf.identity(tensor)


def message_of(error):
    """Returns the message with which a step of TensorFlow was refused, or None."""
    found = re.search(rf"\[?{_MARK}(.*?)\]\n", f"{error}\n", re.DOTALL)
    return found and re.sub(r"\\(.)", r"\1", found[1])  # quotes were escaped
