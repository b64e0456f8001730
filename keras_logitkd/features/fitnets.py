"""FitNets: a layer of the student gives a hint, a layer of the teacher.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def hint_loss(teacher_features, student_features):
    """Mean squared error between the teacher's features and the student's regressed ones.

    Formula: mean over all positions and channels of (r(F^s) - F^t)^2. The paper has half the sum
    instead; the mean is what the well-known implementations weigh with 100. No gradient flows to
    the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, ...)`.
        student_features: The regressor's output, of the same shape.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_features, student_features)
    return arithmetic.per_example(ops.square(student - teacher))
