"""The softened divergence of logits as a term, whose weight may change over the epochs."""

import keras

from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses import logit_kl


@keras.saving.register_keras_serializable(package="keras_logitkd")
class SoftenedLogits(FeatureMethod):
    """weight * `losses.logit_kl`, for stages in which the weight of the divergence changes.

    Args:
        temperature, scale: As for `losses.logit_kl`.
        **kwargs: As for `FeatureMethod`.
    """

    method = "kd"
    needs_teacher = False
    needs_softmax = True

    def __init__(self, temperature=4.0, scale="max", **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature
        self.scale = scale

    def loss(self, teacher, student, batch):
        return logit_kl(batch.teacher_logits, batch.student_logits, self.temperature, self.scale)
