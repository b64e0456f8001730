"""DKD: the divergence's two parts, with weights of their own.

Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022.
"""

import keras
from keras import ops

from keras_logitkd import losses
from keras_logitkd.features import arithmetic
from keras_logitkd.features.checks import check_number
from keras_logitkd.features.labels import class_numbers
from keras_logitkd.features.method import FeatureMethod
from keras_logitkd.losses.base import check_classes, check_logits

# Stands for minus infinity: a logit whose probability is 0.
_LOWEST = -1e30


def decoupled_divergences(teacher_logits, student_logits, labels, temperature=4.0):
    """Divergences of the target's probability, and of the distribution over the other classes.

    Formula, with p = softmax(z / tau), y the label and p^ = p over the classes but y, renormalised:

        TCKD = KL((p^t_y, 1 - p^t_y) || (p^s_y, 1 - p^s_y)),   NCKD = KL(p^t^ || p^s^)

    so that KL(p^t || p^s) = TCKD + (1 - p^t_y) NCKD. No gradient flows to the teacher.

    Args:
        teacher_logits, student_logits: Tensors of shape `(batch, ..., classes)`.
        labels: Integer tensor of shape `(batch, ...)` or `(batch, ..., 1)`, or one-hot of the shape
            of the logits. Where one is none of the classes, as of a place that does not count,
            nothing is the target, and the values are finite.
        temperature: A positive float. Defaults to 4.0.

    Returns:
        TCKD and NCKD in nats, without a factor: float32 tensors of shape `(batch, ...)`.

    Raises:
        ValueError: If shapes do not fit each other, or there is only one class.
    """
    logits = check_classes(*check_logits(teacher_logits, student_logits))
    teacher, student = arithmetic.detached_pair(*logits)
    labels = class_numbers(labels, teacher)
    is_target = ops.one_hot(labels, ops.shape(teacher)[-1], dtype="bool")
    t_binary, t_others = _parts(teacher / temperature, is_target)
    s_binary, s_others = _parts(student / temperature, is_target)
    tckd = losses.logit_kl(t_binary, s_binary, scale="none")
    return tckd, losses.logit_kl(t_others, s_others, scale="none")


def dkd_loss(teacher_logits, student_logits, labels, temperature=4.0, target=1.0, others=8.0):
    """tau^2 * (target * TCKD + others * NCKD); see `decoupled_divergences`.

    Args:
        teacher_logits, student_logits, labels, temperature: As for `decoupled_divergences`.
        target: Weight of TCKD, the paper's alpha. Defaults to 1.0.
        others: Weight of NCKD, the paper's beta. Defaults to 8.0.

    Returns:
        A float32 tensor of shape `(batch, ...)`.
    """
    tckd, nckd = decoupled_divergences(teacher_logits, student_logits, labels, temperature)
    return temperature**2 * (target * tckd + others * nckd)


def _parts(logits, is_target):
    """Logits of (target, any other), and those of the others, where the target has none."""
    others = ops.where(is_target, _LOWEST, logits)
    target = ops.sum(ops.where(is_target, logits, 0.0), axis=-1)
    return ops.stack([target, ops.logsumexp(others, axis=-1)], axis=-1), others


@keras.saving.register_keras_serializable(package="keras_logitkd")
class DKD(FeatureMethod):
    """DKD as a term of the loss; see `dkd_loss`. Works from stored logits, too; needs labels.

    Defaults are those of the authors' CIFAR-100 recipe, beside the hard loss with weight 1; for
    teachers wrn-40-2 they take others=6. The weight rises to 1 over the first 20 epochs as theirs
    does: (epoch + 1) / 20, counted from 0. Deviation: log-probabilities, where their code takes
    the logarithm of probabilities and masks by -1000.

    Args:
        weight: See `FeatureMethod`. Defaults to `"0.05..1@19"`.
        temperature: A float, at least 0.001. Defaults to 4.0.
        target: Weight of TCKD, at least 0. Defaults to 1.0.
        others: Weight of NCKD, at least 0. Defaults to 8.0.
        **kwargs: As for `FeatureMethod`.
    """

    method = "dkd"
    needs_teacher = False
    needs_labels = True
    needs_softmax = True

    def __init__(self, weight="0.05..1@19", temperature=4.0, target=1.0, others=8.0, **kwargs):
        super().__init__(weight=weight, **kwargs)
        self.temperature = check_number("temperature", temperature, least=1e-3)
        self.target = check_number("target", target)
        self.others = check_number("others", others)

    def loss(self, teacher, student, batch):
        options = self.temperature, self.target, self.others
        return dkd_loss(batch.teacher_logits, batch.student_logits, batch.label, *options)
