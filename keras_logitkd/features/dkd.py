"""DKD: the divergence's two parts, with weights of their own.

Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022.
"""

from keras import ops

from keras_logitkd.features import arithmetic

# Stands for minus infinity where it is multiplied by a probability of 0.
_LOWEST = -1e30


def decoupled_divergences(teacher_logits, student_logits, labels, temperature=4.0):
    """Divergences of the target's probability, and of the distribution over the other classes.

    Formula, with p = softmax(z / tau), y the label and p^ = p over the classes but y, renormalised:

        TCKD = KL((p^t_y, 1 - p^t_y) || (p^s_y, 1 - p^s_y)),   NCKD = KL(p^t^ || p^s^)

    so that KL(p^t || p^s) = TCKD + (1 - p^t_y) NCKD. Computed from log-probabilities. No gradient
    flows to the teacher.

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
    t_target, t_other, t_rest = _log_parts(teacher / temperature, is_target)
    s_target, s_other, s_rest = _log_parts(student / temperature, is_target)
    target = ops.exp(t_target) * (t_target - s_target) + ops.exp(t_other) * (t_other - s_other)
    difference = ops.where(is_target, 0.0, t_rest - s_rest)
    return target, ops.sum(ops.exp(t_rest) * difference, axis=-1)


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


def _log_parts(logits, is_target):
    """log p_y, log(1 - p_y), and the log-probabilities of the others, about -inf at y."""
    masked = ops.where(is_target, _LOWEST, logits)
    others = ops.logsumexp(masked, axis=-1)
    target = ops.sum(ops.where(is_target, logits, 0.0), axis=-1)
    everything = ops.logaddexp(target, others)
    rest = masked - ops.expand_dims(others, axis=-1)
    return target - everything, others - everything, rest
