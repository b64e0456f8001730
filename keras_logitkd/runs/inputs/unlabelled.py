"""Images without labels in a training: they are learnt from where a teacher says something."""

import keras
import numpy as np
from keras import ops

from keras_logitkd.data import specs
from keras_logitkd.data.unlabelled import NO_LABEL, joined
from keras_logitkd.features import Objective
from keras_logitkd.features import terms as features
from keras_logitkd.losses.smoothed_crossentropy import SmoothedCrossentropy


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LabelledCrossentropy(SmoothedCrossentropy):
    """`SmoothedCrossentropy` that is 0 for examples without a label (-1).

    The mean is over all examples of a batch, so that the share of a label in the loss does not
    depend on which examples it meets there.
    """

    def call(self, y_true, y_pred):
        values = super().call(ops.maximum(y_true, 0), y_pred)
        return values * ops.cast(y_true != NO_LABEL, values.dtype)


@keras.saving.register_keras_serializable(package="keras_logitkd")
class LabelledAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy on the examples that have a label."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        counted = ops.cast(y_true != NO_LABEL, "float32")
        weight = counted if sample_weight is None else counted * sample_weight
        return super().update_state(ops.maximum(y_true, 0), y_pred, weight)


def on_labels(settings):
    """Returns the hard loss and the accuracy of a training, of its `RunSettings`."""
    some = settings.unlabelled_fingerprint is not None
    loss = LabelledCrossentropy if some else SmoothedCrossentropy
    metric = LabelledAccuracy if some else keras.metrics.SparseCategoricalAccuracy
    return loss(settings.recipe.label_smoothing), metric(name="accuracy")


def unlabelled_of(dataset):
    """Returns the fields of `RunSettings` on the images without labels of a `Dataset`, a dict."""
    if dataset.unlabelled is None:
        return {}
    return {
        "unlabelled": specs.absolute(dataset.unlabelled.name),
        "unlabelled_fingerprint": dataset.unlabelled.fingerprint(),
    }


def seen_by(settings, dataset, indices):
    """Returns what a training reads: a `Split`, and integer array of positions in it.

    Args:
        settings: the `RunSettings`.
        dataset: the `Dataset`. One that was loaded without the images without labels is looked at
            without them.
        indices: integer array of the training examples.

    Raises:
        ValueError: If the images without labels do not go through the views, or a method of the
            objective needs a label of every image.
    """
    if settings.unlabelled_fingerprint is None or dataset.unlabelled is None:
        return dataset.train, indices
    _check_methods(settings)
    split = joined(dataset.train, dataset.unlabelled)
    if None in settings.recipe.augmentation.output_shape(split.images.shape):
        raise ValueError(
            f"{dataset.unlabelled.name} must have images of {dataset.train.images.shape}, or give "
            f"--resized-crop. Received: images of {dataset.unlabelled.images.shape}"
        )
    others = len(dataset.train) + np.arange(len(dataset.unlabelled))
    return split, np.concatenate([indices, others])


def _check_methods(settings):
    methods = features.get_all(list(Objective.parse(settings.loss).methods))
    names = sorted({method.name for method in methods if method.needs_labels})
    if names:
        raise ValueError(
            "--unlabelled needs a loss that does without labels, such as mse or kl. Received: "
            f"{', '.join(names)}"
        )
