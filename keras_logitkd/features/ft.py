"""Factor transfer: the student's translator meets the factors of the teacher's paraphraser.

Kim, Park & Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer",
NeurIPS 2018.
"""

from keras import ops

from keras_logitkd.features import arithmetic


def factor_loss(teacher_factor, student_factor, p=1):
    """Distance of the directions of two factors.

    Formula: mean over all entries of |u^s - u^t|^p with u the factor as one vector of length 1 an
    example. No gradient flows to the teacher.

    Args:
        teacher_factor: Tensor of shape `(batch, ...)`.
        student_factor: Tensor of the same shape.
        p: 1 or 2. Defaults to 1.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `p` is neither 1 nor 2.
    """
    teacher, student = arithmetic.detached_pair(teacher_factor, student_factor)
    difference = arithmetic.unit(arithmetic.flat(student)) - arithmetic.unit(
        arithmetic.flat(teacher)
    )
    return ops.mean(_power(difference, p), axis=-1)


def reconstruction_loss(features, reconstruction, p=1):
    """Error of a paraphraser: mean over all entries of |reconstruction - features|^p.

    Args:
        features: The teacher's, tensor of shape `(batch, ...)`.
        reconstruction: The paraphraser's output, of the same shape.
        p: 1 or 2. Defaults to 1.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `p` is neither 1 nor 2.
    """
    features, reconstruction = arithmetic.detached_pair(features, reconstruction)
    return arithmetic.per_example(_power(reconstruction - features, p))


def _power(difference, p):
    if p not in (1, 2):
        raise ValueError(f"`p` must be 1 or 2. Received: p={p!r}")
    return ops.abs(difference) if p == 1 else ops.square(difference)
