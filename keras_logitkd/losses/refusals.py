"""Refusals of values that are not there while a graph is traced, on TensorFlow."""

import re

import keras

_MARK = "keras_logitkd: "


def unless(holds, message, tensor):
    """Returns a tensor that cannot be computed unless something holds of values.

    Where there are values, a ValueError says the message. In a graph of TensorFlow the step fails
    when it runs, and nothing that depends on the tensor is done; `message_of` finds the message in
    the error. XLA and what JAX compiles leave the check out.

    Args:
        holds: function without arguments that returns a bool scalar.
        message: one line.
        tensor: what depends on it.
    """
    is_tensorflow = keras.backend.backend() == "tensorflow"
    if is_tensorflow:
        import tensorflow as tf
    if tf.executing_eagerly() if is_tensorflow else hasattr(tensor, "numpy"):
        if not bool(holds()):
            raise ValueError(message)
    elif is_tensorflow:
        with tf.control_dependencies([tf.debugging.Assert(holds(), [_MARK + message])]):
            return tf.identity(tensor)
    return tensor


def message_of(error):
    """Returns the message with which a step of TensorFlow was refused, or None."""
    found = re.search(rf"\[?{_MARK}(.*?)\]\n", f"{error}\n", re.DOTALL)
    return found and re.sub(r"\\(.)", r"\1", found[1])  # quotes were escaped
