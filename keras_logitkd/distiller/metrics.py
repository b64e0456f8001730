"""Metrics that are named by a string, on logits."""

import keras

from keras_logitkd.losses.kinds import SIGMOID

_ACCURACIES = ("accuracy", "acc", "binary_accuracy")


def on_logits(metrics, kind):
    """Returns metrics for `compile` in which the names of accuracies mean those of logits.

    Keras reads `"accuracy"` as the share of values on the right side of 0.5 for one output, and of
    the largest value for several. A logit of a sigmoid says yes above 0, each for itself.

    Args:
        metrics: as for `keras.Model.compile`.
        kind: of the classifier, see `losses.kinds`.
    """
    if kind != SIGMOID or metrics is None:
        return metrics
    return keras.tree.map_structure(
        lambda each: (
            keras.metrics.BinaryAccuracy(name=each, threshold=0.0) if each in _ACCURACIES else each
        ),
        metrics,
    )
