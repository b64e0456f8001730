"""Writes logit_kl.npz: values and gradients of Eqs. 5-7 in 50-digit arithmetic.

Run `python tests/losses/golden/make_logit_kl.py` to make the file again. For each kind of logits
and each class count it holds the logits (float32, exact), the classes whose gradient is kept, and
for each temperature the value and the gradient with the factor max(tau, tau^2).
"""

import pathlib

import mpmath
import numpy as np

PATH = pathlib.Path(__file__).with_name("logit_kl.npz")
TEMPERATURES = [0.0, *(10.0**power for power in range(-3, 8)), np.inf]
CLASSES = [2, 10, 100, 1000]
KINDS = ["spread_3", "spread_1000", "offset", "nearly_equal"]
ROWS = 2
KEPT_CLASSES = 64


def make_logits(kind, classes):
    """Teacher and student logits, float32 of shape (ROWS, classes)."""
    rng = np.random.default_rng([KINDS.index(kind), classes])
    teacher, student = rng.standard_normal((2, ROWS, classes))
    if kind == "spread_1000":
        teacher, student = rng.uniform(-1e3, 1e3, (2, ROWS, classes))
    elif kind == "offset":
        teacher, student = 3 * teacher - 900, 3 * student + 700
    elif kind == "nearly_equal":
        teacher = rng.uniform(-1e3, 1e3, (ROWS, classes))
        student = teacher + 0.5 * student
    else:
        teacher, student = 3 * teacher, 3 * student
    return teacher.astype(np.float32), student.astype(np.float32)


def kept_classes(teacher, student):
    """All classes, or the most probable of both networks and an even sample of the others."""
    classes = teacher.shape[1]
    if classes <= 2 * KEPT_CLASSES:
        return np.arange(classes)
    top = [np.argsort(logits, axis=1)[:, -8:].ravel() for logits in (teacher, student)]
    return np.unique(np.concatenate([*top, np.arange(0, classes, classes // KEPT_CLASSES)]))


def exact(teacher, student, temperature):
    """Value and gradient of one example, as lists of 50-digit numbers."""
    z_t, z_s = ([mpmath.mpf(float(z)) for z in logits] for logits in (teacher, student))
    if temperature == 0:
        top_t, top_s = int(np.argmax(teacher)), int(np.argmax(student))
        return z_s[top_s] - z_s[top_t], [
            mpmath.mpf((k == top_s) - (k == top_t)) for k in range(len(z_t))
        ]
    if temperature == np.inf:
        differences = [s - t for s, t in zip(z_s, z_t, strict=True)]
        mean = mpmath.fsum(differences) / len(differences)
        centred = [d - mean for d in differences]
        value = mpmath.fsum(c * c for c in centred) / (2 * len(centred))
        return value, [c / len(centred) for c in centred]
    tau = mpmath.mpf(temperature)
    log_p_t, log_p_s = _log_softmax(z_t, tau), _log_softmax(z_s, tau)
    p_t, p_s = ([mpmath.exp(entry) for entry in log_p] for log_p in (log_p_t, log_p_s))
    kl = mpmath.fsum(p * (a - b) for p, a, b in zip(p_t, log_p_t, log_p_s, strict=True))
    factor = max(tau, tau * tau)
    return factor * kl, [factor / tau * (s - t) for s, t in zip(p_s, p_t, strict=True)]


def _log_softmax(logits, tau):
    scaled = [z / tau for z in logits]
    largest = max(scaled)
    log_sum = largest + mpmath.log(mpmath.fsum(mpmath.exp(z - largest) for z in scaled))
    return [z - log_sum for z in scaled]


def golden_case(kind, classes, temperatures=TEMPERATURES):
    """The arrays of one kind and class count, by name."""
    teacher, student = make_logits(kind, classes)
    kept = kept_classes(teacher, student)
    values = np.zeros((len(temperatures), ROWS))
    gradients = np.zeros((len(temperatures), ROWS, len(kept)), np.float32)
    for i, temperature in enumerate(temperatures):
        for row in range(ROWS):
            # 50 digits: at tau = 1e7 the divergence cancels 14 of them.
            with mpmath.workdps(50):
                value, gradient = exact(teacher[row], student[row], temperature)
            values[i, row] = float(value)
            gradients[i, row] = [float(gradient[k]) for k in kept]
    return {
        "teacher": teacher,
        "student": student,
        "kept": kept.astype(np.int16),
        "values": values,
        "gradients": gradients,
    }


def main():
    arrays = {"temperatures": np.array(TEMPERATURES)}
    for kind in KINDS:
        for classes in CLASSES:
            for name, array in golden_case(kind, classes).items():
                arrays[f"{kind}/{classes}/{name}"] = array
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    main()
