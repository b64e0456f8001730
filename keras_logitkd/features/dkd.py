"""DKD: the divergence's two parts, with weights of their own.

Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022.
"""

from keras import ops

from keras_logitkd import losses
from keras_logitkd.features import arithmetic

# Stands for minus infinity: a logit whose probability is 0.
_LOWEST = -1e30


def decoupled_divergences(teacher_logits, student_logits, labels, temperature=4.0):
    """Divergences of the target's probability, and of the distribution over the other classes.

    Formula, with p = softmax(z / tau), y the label and p^ = p over the classes but y, renormalised:

        TCKD = KL((p^t_y, 1 - p^t_y) || (p^s_y, 1 - p^s_y)),   NCKD = KL(p^t^ || p^s^)

    so that KL(p^t || p^s) = TCKD + (1 - p^t_y) NCKD. No gradient flows to the teacher.

    Args:
        teacher_logits: Tensor of shape `(batch, classes)`.
        student_logits: Tensor of shape `(batch, classes)`.
        labels: Integer tensor of shape `(batch,)`.
        temperature: A positive float. Defaults to 4.0.

    Returns:
        TCKD and NCKD in nats, without a factor: float32 tensors of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_logits, student_logits)
    is_target = ops.one_hot(ops.reshape(labels, (-1,)), teacher.shape[-1], dtype="bool")
    t_binary, t_others = _parts(teacher / temperature, is_target)
    s_binary, s_others = _parts(student / temperature, is_target)
    return (
        losses.logit_kl(t_binary, s_binary, scale="none"),
        losses.logit_kl(t_others, s_others, scale="none"),
    )


def dkd_loss(teacher_logits, student_logits, labels, temperature=4.0, target=1.0, others=8.0):
    """tau^2 * (target * TCKD + others * NCKD); see `decoupled_divergences`.

    Args:
        teacher_logits: Tensor of shape `(batch, classes)`.
        student_logits: Tensor of shape `(batch, classes)`.
        labels: Integer tensor of shape `(batch,)`.
        temperature: A positive float. Defaults to 4.0.
        target: Weight of TCKD, the paper's alpha. Defaults to 1.0.
        others: Weight of NCKD, the paper's beta. Defaults to 8.0.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    tckd, nckd = decoupled_divergences(teacher_logits, student_logits, labels, temperature)
    return temperature**2 * (target * tckd + others * nckd)


def _parts(logits, is_target):
    """Logits of (target, any other), and those of the others, where the target has none."""
    others = ops.where(is_target, _LOWEST, logits)
    target = ops.sum(ops.where(is_target, logits, 0.0), axis=-1)
    return ops.stack([target, ops.logsumexp(others, axis=-1)], axis=-1), others
