"""Class weights for targets that are dictionaries, which Keras refuses."""

import math

import keras
import numpy as np
import tensorflow as tf


def fold_class_weight(arguments):
    """Turns `class_weight` into sample weights where Keras cannot: when targets are a dict.

    The arguments of `fit` or `train_on_batch`, by name, are changed in place. ValueError says that
    there are no labels to weigh.
    """
    class_weight = arguments.get("class_weight")
    if class_weight is None:
        return
    x, y = arguments.get("x"), arguments.get("y")
    if isinstance(y, dict):
        if "label" not in y:
            raise ValueError(f"`class_weight` needs labels. Received: targets {sorted(y)}")
        weight = _weights_of(y["label"], class_weight).numpy()
        if arguments.get("validation_data") is None:  # Class weights are for training only.
            training_share = 1.0 - arguments.get("validation_split", 0.0)
            weight[math.floor(len(weight) * training_share) :] = 1.0
        given = arguments.get("sample_weight")
        arguments["sample_weight"] = weight if given is None else weight * np.ravel(given)
        arguments["class_weight"] = None
    elif isinstance(x, tf.data.Dataset) and _has_dict_targets(x.element_spec):

        def weigh(x, y, sample_weight=1.0):
            given = tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
            return x, y, _weights_of(y["label"], class_weight) * given

        arguments["x"] = x.map(weigh)
        arguments["class_weight"] = None
    elif isinstance(x, keras.utils.PyDataset) and _has_dict_targets(x[0]):
        raise ValueError(
            "`class_weight` with targets in a dictionary needs arrays or a tf.data.Dataset. "
            f"Received: {type(x).__name__}"
        )


def _has_dict_targets(spec):
    return isinstance(spec, list | tuple) and len(spec) > 1 and isinstance(spec[1], dict)


def _weights_of(label, class_weight):
    """The weight of each label, float32 of shape (batch,); 1 for classes not named."""
    label = tf.convert_to_tensor(label)
    if label.shape.rank == 2:
        label = label[:, 0] if label.shape[1] == 1 else tf.argmax(label, axis=-1)
    label = tf.cast(label, tf.int64)
    weight = tf.ones(tf.shape(label))
    for index, value in class_weight.items():
        weight = tf.where(label == index, float(value), weight)
    return weight
