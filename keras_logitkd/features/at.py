"""Attention transfer: where the network looks, per group.

Zagoruyko & Komodakis, "Paying More Attention to Attention", ICLR 2017.
"""

from keras import ops

from keras_logitkd.features import arithmetic

MODES = ("code", "paper")


def attention_map(features):
    """Mean over the channels of the squared features, as one vector of length 1 an example.

    Args:
        features: Tensor of shape `(batch, H, W, C)`.

    Returns:
        A float32 tensor of shape `(batch, H * W)`; zero where the features are.
    """
    energy = ops.mean(ops.square(arithmetic.as_float32(features)), axis=-1)
    return arithmetic.unit(arithmetic.flat(energy))


def attention_loss(teacher_features, student_features, mode="code"):
    """Distance of the attention maps q^t and q^s of one pair of layers.

    Formula: `"code"` is the mean over H * W of (q^s - q^t)^2, at most 2 / (H * W), as the
    authors' code has it; `"paper"` is ||q^s - q^t||_2 / 2, their Eq. 2. Channel counts may differ;
    the larger map is average-pooled to the smaller's size. No gradient flows to the teacher.

    Args:
        teacher_features: Tensor of shape `(batch, H, W, C)`.
        student_features: Tensor of shape `(batch, H', W', C')`.
        mode: `"code"` or `"paper"`. Defaults to `"code"`.

    Returns:
        A float32 tensor of shape `(batch,)`.

    Raises:
        ValueError: If `mode` is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: mode={mode!r}")
    teacher, student = arithmetic.same_size(
        *arithmetic.detached_pair(teacher_features, student_features)
    )
    difference = attention_map(student) - attention_map(teacher)
    if mode == "paper":
        return 0.5 * arithmetic.length(difference)
    return ops.mean(ops.square(difference), axis=-1)
