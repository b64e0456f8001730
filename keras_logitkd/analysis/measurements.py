"""What logits and pre-logits measure, example by example: pure functions of NumPy arrays.

Logits have the shape (n, classes), pre-logits (n, features), labels (n,); results have (n,) and are
float64 unless said. Formulas are those of Kim et al., IJCAI 2021, whose figures show them.
"""

import numpy as np

from keras_logitkd.runs.evaluation import log_softmax, softmax


def logit_sums(logits):
    """Returns the sum of the logits over the classes (Fig. 2)."""
    return np.sum(logits, axis=-1, dtype=np.float64)


def logit_distances(student_logits, teacher_logits):
    """Returns the Euclidean distance between the student's and the teacher's logits (Fig. 4a)."""
    return norms(np.asarray(student_logits, np.float64) - teacher_logits)


def norms(vectors):
    """Returns the Euclidean norm of each vector, such as pre-logits (Fig. 4b)."""
    return np.linalg.norm(np.asarray(vectors, np.float64), axis=-1)


def hindering_terms(student_logits, teacher_logits):
    """Returns delta_inf = -(1 / 2K^2) (sum of the student's - sum of the teacher's logits)^2.

    This is what the KL divergence at tau = inf has beside half the mean squared error (Eq. 8): it
    rewards a shift of the logits' sum.
    """
    shifts = logit_sums(student_logits) - logit_sums(teacher_logits)
    return -np.square(shifts) / (2 * np.shape(student_logits)[-1] ** 2)


def entropies(logits):
    """Returns the entropy of the probabilities in nats, in [0, log(classes)]; 0 log 0 is 0."""
    log_p = log_softmax(logits)
    return np.maximum(-np.sum(np.exp(log_p) * log_p, axis=-1), 0.0)


def confidences(logits):
    """Returns the largest probability, in [1 / classes, 1]."""
    return softmax(logits).max(axis=-1)


def top_logit_differences(logits, labels):
    """Returns the label's logit minus the largest other one: positive where the label is first.

    Raises:
        ValueError: If there is only one class.
    """
    if np.shape(logits)[-1] < 2:
        raise ValueError(
            f"`logits` must have at least two classes. Received: shape {np.shape(logits)}"
        )
    others = np.array(logits, dtype=np.float64)
    rows = np.arange(len(others))
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    return own - others.max(axis=-1)


def agreements(first, second):
    """Returns whether two arrays of logits agree in the largest, bool of shape (n,)."""
    return np.argmax(first, axis=-1) == np.argmax(second, axis=-1)


def class_counts(logits, labels):
    """Returns how many examples of each class there are, and how many of them are recognised.

    Returns:
        int64 array of shape (2, classes). Those of two sets of examples add up to those of both.
    """
    classes = np.shape(logits)[-1]
    right = np.asarray(labels)[np.argmax(logits, axis=-1) == labels]
    return np.array([np.bincount(which, minlength=classes) for which in (labels, right)])


def shares(counts, right):
    """Returns right / counts, nan where nothing was counted: of `class_counts` the accuracies."""
    counts = np.asarray(counts, np.float64)
    return np.divide(right, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
