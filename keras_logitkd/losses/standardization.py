"""Logits in units of their own standard deviation, example by example.

Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024. Deviation: no constant is
added to the standard deviation, so that scale and shift drop out exactly.
"""

from keras import ops


def standardized(value_and_gradient):
    """Returns a function as those of `divergence`, of the z-scores of both networks' logits.

    z' = (z - mean_k z) / sigma, sigma = std_k z of the population. With g the gradient with
    respect to z', that with respect to z is (g - mean(g) - z' mean(g z')) / sigma.

    Logits that are all equal have no direction: their z-scores count as 0, a uniform distribution,
    and their sigma as 1 in the gradient, which then leads away from there towards the teacher's.
    """

    def of_logits(teacher, student):
        (teacher_scores, _), (scores, deviation) = _scores(teacher), _scores(student)
        value, slope = value_and_gradient(teacher_scores, scores)
        along = ops.mean(slope * scores, axis=-1, keepdims=True)
        slope = slope - ops.mean(slope, axis=-1, keepdims=True) - scores * along
        return value, slope / deviation

    return of_logits


def _scores(logits):
    """z-scores of logits (..., classes), and their standard deviations (..., 1)."""
    is_constant = ops.equal(
        ops.max(logits, axis=-1, keepdims=True), ops.min(logits, axis=-1, keepdims=True)
    )
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    # Of the largest distance from the mean, so that no square leaves the range of the dtype.
    largest = ops.where(is_constant, 1.0, ops.max(ops.abs(centred), axis=-1, keepdims=True))
    shares = ops.where(is_constant, 0.0, centred / largest)
    deviation = ops.sqrt(ops.mean(ops.square(shares), axis=-1, keepdims=True))
    deviation = ops.where(is_constant, 1.0, deviation)
    return shares / deviation, largest * deviation
