"""Writes beside.npz: the losses beside the paper's in 50-digit arithmetic.

Run `python tests/losses/golden/make_beside.py` to make the file again. For each loss, kind of
logits (those of make_logit_kl.py) and class count it holds the logits (float32, exact), and for
each temperature the values and the gradients of both rows.
"""

import pathlib

import mpmath
import numpy as np
from make_logit_kl import KINDS, ROWS, make_logits

PATH = pathlib.Path(__file__).with_name("beside.npz")
TEMPERATURES = [0.0, *(10.0**power for power in range(-3, 7)), np.inf]
CLASSES = {"bkl": [1, 10], "kl_standardized": [3, 10, 50], "ttm": [2, 10, 50], "wttm": [2, 10, 50]}


def softmax_kl(z_t, z_s, tau):
    """sum_k p^t_k (log p^t_k - log p^s_k) at a finite temperature, and p^s - p^t."""
    log_p_t, log_p_s = _log_softmax(z_t, tau), _log_softmax(z_s, tau)
    p_t, p_s = ([mpmath.exp(entry) for entry in log_p] for log_p in (log_p_t, log_p_s))
    kl = mpmath.fsum(p * (a - b) for p, a, b in zip(p_t, log_p_t, log_p_s, strict=True))
    return kl, [s - t for s, t in zip(p_s, p_t, strict=True)]


def softened(z_t, z_s, temperature):
    """Eqs. 5 to 7: value and gradient at any temperature, with the factor max(tau, tau^2)."""
    if temperature == 0:
        top_t, top_s = z_t.index(max(z_t)), z_s.index(max(z_s))
        return z_s[top_s] - z_s[top_t], [
            mpmath.mpf((k == top_s) - (k == top_t)) for k in range(len(z_t))
        ]
    if temperature == np.inf:
        centred = _centred([s - t for s, t in zip(z_s, z_t, strict=True)])
        value = mpmath.fsum(c * c for c in centred) / (2 * len(centred))
        return value, [c / len(centred) for c in centred]
    tau = mpmath.mpf(temperature)
    kl, difference = softmax_kl(z_t, z_s, tau)
    return max(tau, tau * tau) * kl, [max(tau, 1) * d for d in difference]


def bkl(z_t, z_s, temperature):
    """Mean over the labels of what the divergence of p and 1 - p is."""
    labels, zero = len(z_t), mpmath.mpf(0)
    # 0 comes first: at tau = 0 a logit of 0 is not positive.
    pairs = [softened([zero, t], [zero, s], temperature) for t, s in zip(z_t, z_s, strict=True)]
    value = mpmath.fsum(value for value, _ in pairs) / labels
    return value, [gradient[1] / labels for _, gradient in pairs]


def kl_standardized(z_t, z_s, temperature):
    """The divergence of z-scores; its gradient by the chain rule, one derivative at a time."""
    (t, _), (s, deviation) = _scores(z_t), _scores(z_s)
    value, slope = softened(t, s, temperature)
    classes, gradient = len(s), []
    for k in range(classes):
        # d s_j / d z_k = (1[j = k] - 1/K - s_j s_k / K) / sigma
        terms = (slope[j] * ((j == k) - (1 + s[j] * s[k]) / classes) for j in range(classes))
        gradient.append(mpmath.fsum(terms) / deviation)
    return value, gradient


def ttm(z_t, z_s, temperature):
    """KL(p^t(tau) || p^s(1))."""
    if temperature == 0:
        log_p_s, top = _log_softmax(z_s, 1), z_t.index(max(z_t))
        return -log_p_s[top], [mpmath.exp(p) - (k == top) for k, p in enumerate(log_p_s)]
    if temperature == np.inf:
        return softmax_kl([mpmath.mpf(0)] * len(z_t), z_s, 1)
    return softmax_kl([t / mpmath.mpf(temperature) for t in z_t], z_s, 1)


def wttm(z_t, z_s, temperature):
    """The same times sum_k p^t_k(1)^(1 / tau), which is the number of classes at tau = inf."""
    if temperature == 0:
        return mpmath.nan, [mpmath.nan] * len(z_t)  # refused
    value, gradient = ttm(z_t, z_s, temperature)
    weight = mpmath.mpf(len(z_t))
    if temperature != np.inf:
        tau = mpmath.mpf(temperature)
        weight = mpmath.fsum(mpmath.exp(entry / tau) for entry in _log_softmax(z_t, 1))
    return weight * value, [weight * entry for entry in gradient]


LOSSES = {"bkl": bkl, "kl_standardized": kl_standardized, "ttm": ttm, "wttm": wttm}


def _centred(numbers):
    mean = mpmath.fsum(numbers) / len(numbers)
    return [number - mean for number in numbers]


def _scores(logits):
    centred = _centred(logits)
    deviation = mpmath.sqrt(mpmath.fsum(c * c for c in centred) / len(centred))
    return [c / deviation for c in centred], deviation


def _log_softmax(logits, tau):
    scaled = [z / tau for z in logits]
    largest = max(scaled)
    log_sum = largest + mpmath.log(mpmath.fsum(mpmath.exp(z - largest) for z in scaled))
    return [z - log_sum for z in scaled]


def golden_case(name, kind, classes, temperatures=TEMPERATURES):
    """The arrays of one loss, kind and class count, by name; float32 holds the gradients."""
    teacher, student = make_logits(kind, classes)
    values = np.zeros((len(temperatures), ROWS))
    gradients = np.zeros((len(temperatures), ROWS, classes))
    # Probabilities of e^-2,000,000 meet others near 1: 50 digits, and those of the exponent apart.
    with mpmath.workdps(50):
        for i, temperature in enumerate(temperatures):
            for row in range(ROWS):
                z_t, z_s = (
                    [mpmath.mpf(float(z)) for z in each[row]] for each in (teacher, student)
                )
                value, gradient = LOSSES[name](z_t, z_s, temperature)
                values[i, row] = float(value)
                gradients[i, row] = [float(entry) for entry in gradient]
    return {
        "teacher": teacher,
        "student": student,
        "values": values,
        "gradients": gradients.astype(np.float32),
    }


def main():
    arrays = {"temperatures": np.array(TEMPERATURES)}
    for loss, counts in CLASSES.items():
        for kind in KINDS:
            for classes in counts:
                for name, array in golden_case(loss, kind, classes).items():
                    arrays[f"{loss}/{kind}/{classes}/{name}"] = array
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    main()
