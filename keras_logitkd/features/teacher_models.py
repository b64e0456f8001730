"""The teacher as a feature method sees it: its taps, and which statistics it normalises by."""

import keras
import tensorflow as tf
from keras import ops

from keras_logitkd.features.taps import tapped
from keras_logitkd.networks.inference import for_inference


def teacher_with_taps(model, taps, statistics="moving"):
    """Returns a model for forward passes that gives a teacher's logits and taps.

    It shares the teacher's variables and changes none of them.

    Args:
        model: The teacher, a built Sequential or functional `keras.Model`.
        taps: Names of taps, see `taps.tapped`.
        statistics: `"moving"`: batch normalization in inference mode. `"batch"`: by the moments of
            the batch, as in training, but without moving the statistics. Defaults to `"moving"`.

    Returns:
        A `keras.Model` that returns a dictionary, to be called with `training=False`.

    Raises:
        ValueError: If the graph of layers is not known, or has no such tap.
    """
    model = tapped(model, taps)
    if statistics == "batch":
        model = with_batch_moments(model)
    return for_inference(model)


def with_batch_moments(model):
    """Returns a model that normalises by the batch's moments; calling it changes no variable."""

    def convert(layer):
        if isinstance(layer, keras.layers.BatchNormalization):
            return _ByBatchMoments(layer)
        return with_batch_moments(layer) if isinstance(layer, keras.Model) else layer

    return keras.models.clone_model(model, clone_function=convert)


class _ByBatchMoments(keras.layers.Layer):
    """A batch normalization that was built, with the moments of the batch."""

    def __init__(self, norm):
        super().__init__(name=norm.name, dtype=norm.dtype_policy)
        self.norm = norm
        self.built = True

    def call(self, inputs, training=None, mask=None):
        norm, channels = self.norm, self.norm.moving_mean.shape
        axis = norm.axis % len(inputs.shape)
        x = ops.cast(inputs, "float32")
        gamma = ops.cast(norm.gamma, "float32") if norm.scale else ops.ones(channels)
        beta = ops.cast(norm.beta, "float32") if norm.center else ops.zeros(channels)
        if len(inputs.shape) == 4 and axis == 3:
            outputs, _, _ = tf.compat.v1.nn.fused_batch_norm(
                x, gamma, beta, epsilon=norm.epsilon, is_training=True
            )
        else:
            others = [place for place in range(len(inputs.shape)) if place != axis]
            mean, variance = ops.moments(x, axes=others)
            outputs = ops.batch_normalization(
                x, mean, variance, axis, offset=beta, scale=gamma, epsilon=norm.epsilon
            )
        return ops.cast(outputs, self.compute_dtype)
