"""Jacobian matching: how the output changes with the input.

Srinivas & Fleuret, "Knowledge Transfer with Jacobian Matching", ICML 2018.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def jacobian_distance(teacher_gradient, student_gradient):
    """Squared distance of the directions of two gradients with respect to the input.

    Formula: ||g^s / ||g^s|| - g^t / ||g^t|| ||^2, in [0, 4], over everything but the batch. A
    zero gradient has no direction and counts as the zero vector. No gradient flows to the teacher.

    Args:
        teacher_gradient: Tensor of shape `(batch, ...)`.
        student_gradient: Tensor of the same shape.

    Returns:
        A float32 tensor of shape `(batch,)`.
    """
    teacher, student = arithmetic.detached_pair(teacher_gradient, student_gradient)
    difference = arithmetic.unit(arithmetic.flat(student)) - arithmetic.unit(
        arithmetic.flat(teacher)
    )
    return ops.sum(ops.square(difference), axis=-1)


def peak_attention(teacher_features, student_features):
    """The attention of both networks where the teacher's is largest.

    The attention is the mean over the channels of the squared features. These values are what is
    differentiated in place of a logit when the Jacobian of an attention map is matched.

    Args:
        teacher_features: Tensor of shape `(batch, H, W, C)`.
        student_features: Tensor of shape `(batch, H, W, C')`.

    Returns:
        The teacher's and the student's values, float32 tensors of shape `(batch,)`. Both carry
        gradients.
    """
    teacher, student = (
        arithmetic.flat(ops.mean(ops.square(arithmetic.as_float32(features)), axis=-1))
        for features in (teacher_features, student_features)
    )
    peak = ops.one_hot(ops.argmax(teacher, axis=-1), teacher.shape[-1])
    return ops.sum(peak * teacher, axis=-1), ops.sum(peak * student, axis=-1)
