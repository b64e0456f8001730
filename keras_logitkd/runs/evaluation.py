"""Final numbers of a classifier, from its logits."""

import collections

import numpy as np

ECE_BINS = 15


def predict(model, batches):
    """Runs a model from raw pixels to logits over a dataset of records, see `data.pipeline`.

    Returns:
        (logits, labels): float32 of shape (examples, classes), int32 of shape (examples,).
    """
    logits, labels = [], []
    for record in batches:
        logits.append(np.asarray(model.predict_on_batch(record["image"]), dtype=np.float32))
        labels.append(record["label"].numpy())
    return np.concatenate(logits), np.concatenate(labels)


def averaged_logits(teachers, batches):
    """Yields the mean logits of some models, float32 (b, classes) for each batch.

    Args:
        teachers: function that returns a list of `keras.Model`s from raw pixels to logits.
        batches: function that returns a dataset of records.
    """
    models = teachers()
    for record in batches():
        outputs = [model.predict_on_batch(record["image"]) for model in models]
        yield np.mean(np.asarray(outputs, dtype=np.float32), axis=0)


def classification_metrics(logits, labels):
    """Returns accuracy, loss (nats) and ECE of logits (n, classes) for labels (n,), as floats."""
    return {
        "accuracy": accuracy(logits, labels),
        "loss": float(-np.mean(log_softmax(logits)[np.arange(len(labels)), labels])),
        "ece": expected_calibration_error(softmax(logits), labels),
    }


def by_class(logits, labels, class_names):
    """Returns how a classifier does on each class, and how unequally many they are.

    Args:
        logits: array of shape (n, classes).
        labels: integer array of shape (n,).
        class_names: tuple of texts; the number is put before one that several classes have.

    Returns:
        Dict: `balanced_accuracy`, the mean over the classes that there are of the share of their
        examples that are predicted as such; `class_accuracy`, these shares by name, None for a
        class without examples; `majority_class`, the largest, and `majority_share`, its share of
        the examples; `examples`, n.
    """
    from sklearn.metrics import recall_score

    counts = np.bincount(labels, minlength=len(class_names))
    shares = recall_score(
        labels,
        logits.argmax(axis=-1),
        labels=np.arange(len(class_names)),
        average=None,
        zero_division=np.nan,
    )
    uses = collections.Counter(class_names)
    names = [
        name if uses[name] == 1 else f"{number} {name}" for number, name in enumerate(class_names)
    ]
    return {
        "balanced_accuracy": float(np.mean(shares[counts > 0])),
        "class_accuracy": {
            name: float(share) if count else None
            for name, share, count in zip(names, shares, counts, strict=True)
        },
        "majority_class": names[counts.argmax()],
        "majority_share": float(counts.max() / len(labels)),
        "examples": len(labels),
    }


def accuracy(logits, labels):
    """Returns the share of examples whose label (n,) is the argmax of their logits (n, classes)."""
    return float(np.mean(logits.argmax(axis=-1) == labels))


def agreement(first, second):
    """Returns the share of examples on which two arrays of logits (n, classes) agree in argmax."""
    return float(np.mean(first.argmax(axis=-1) == second.argmax(axis=-1)))


def expected_calibration_error(probabilities, labels, bins=ECE_BINS):
    """Returns the expected calibration error: mean |accuracy - confidence|, weighted by bin.

    Args:
        probabilities: array of shape (n, classes), rows that sum to 1.
        labels: integer array of shape (n,).
        bins: number of equal-width bins of the confidence in (0, 1]. Defaults to 15.

    Returns:
        A float in [0, 1]. Source: Guo et al., ICML 2017.
    """
    return calibration_error(*reliability_bins(probabilities, labels, bins))


def reliability_bins(probabilities, labels, bins=ECE_BINS):
    """Returns what each bin (low, high] holds. Arguments: as for `expected_calibration_error`.

    It is a float64 array of shape (3, bins): examples, sum of their confidences, correct ones.
    Those of two sets of examples add up to those of both.
    """
    confidence = probabilities.max(axis=-1)
    correct = probabilities.argmax(axis=-1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return np.array(
        [np.bincount(index, weights, bins) for weights in (None, confidence, correct)], np.float64
    )


def calibration_error(counts, confidence, correct):
    """Returns the expected calibration error of the rows of `reliability_bins`, a float."""
    return float(np.abs(correct - confidence).sum() / counts.sum())


def softmax(logits):
    """Returns the probabilities of logits (n, classes), in float64."""
    return np.exp(log_softmax(logits))


def log_softmax(logits):
    """Returns the log probabilities of logits (n, classes), in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
