"""Cross-entropy with the labels, smoothed as the paper does it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits against smoothed labels (Eq. 1).

    The label's class has weight 1 - beta, each of the other K - 1 classes beta / (K - 1). (Keras's
    own `label_smoothing` spreads its share over all K classes.)

    Args:
        beta: share of the other classes, in [0, 1). Defaults to 0: plain cross-entropy.
        reduction, name, dtype: As for `keras.losses.Loss`, the name `"smoothed_crossentropy"`.

    Called with integer labels of shape `(...,)` and logits of shape `(..., classes)`.
    """

    def __init__(
        self, beta=0.0, reduction="sum_over_batch_size", name="smoothed_crossentropy", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not 0 <= beta < 1:
            raise ValueError(f"`beta` must be in [0, 1). Received: beta={beta}")
        self.beta = beta

    def call(self, y_true, y_pred):
        classes = ops.shape(y_pred)[-1]  # a number where it is known
        log_p = ops.log_softmax(y_pred, axis=-1)
        labels = ops.one_hot(ops.cast(y_true, "int32"), classes, dtype=log_p.dtype)
        on_label = ops.sum(labels * log_p, axis=-1)
        elsewhere = (ops.sum(log_p, axis=-1) - on_label) / (ops.cast(classes, log_p.dtype) - 1)
        return -((1 - self.beta) * on_label + self.beta * elsewhere)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}
