"""Activation boundaries: which neurons are on, not how much.

Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons",
AAAI 2019.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def boundary_loss(teacher_features, student_features, margin=1.0):
    """Squared hinge that puts the student on the teacher's side of zero, by a margin m.

    Formula, over features before the activation, t the teacher's and s the student's:

        sum over positions and channels of max(0, s + m)^2 where t <= 0, max(0, m - s)^2 where t > 0

    It depends on the sign of t only, and is zero at s = t only where |t| >= m. No gradient flows
    to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: Tensor of the same shape.
        margin: A float, at least 0. Defaults to 1.0.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    missing = ops.where(teacher > 0, margin - student, student + margin)
    return arithmetic.per_example(ops.square(ops.relu(missing)), ops.sum)


def boundary_agreement(teacher_features, student_features):
    """Share of neurons that are on the same side of zero in both networks.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`, before the activation.
        student_features: Tensor of the same shape.

    Returns:
        A float32 tensor of shape `(batch,)`, in [0, 1].
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return arithmetic.per_example(arithmetic.as_float32((teacher > 0) == (student > 0)))
