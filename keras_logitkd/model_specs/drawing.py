"""Initial weights of networks that are not of the zoo, their weight decay, and new heads."""

import contextlib
import random

import keras
import numpy as np

from keras_logitkd.networks.outputs import inputs_of

HEAD = "logits"


@contextlib.contextmanager
def drawn_by(seed):
    """What is built here draws its weights by a seed; the generators go on as if nothing was.

    Initializers and dropout of Keras without a seed take one from Python's generator; code of
    users may draw from NumPy's.
    """
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def decay_kernels(model, weight_decay):
    """Adds L2 to the kernels of a model that have no regularizer: half of it times their squares.

    The regularizers act in training only: they are not in what is saved.
    """
    if not weight_decay:
        return
    for weight in model.trainable_weights:
        is_kernel = weight.path.rpartition("/")[2].endswith("kernel")
        if is_kernel and weight.regularizer is None:
            weight.regularizer = keras.regularizers.L2(weight_decay / 2)


def with_head(model, num_classes):
    """Returns a model with a new layer of so many logits in place of the one that makes its own.

    Args:
        model: a functional or Sequential model that ends in a Dense layer, no activation after it.
        num_classes: number of logits.

    Raises:
        ValueError: If it ends otherwise.
    """
    tensor = model.outputs[0]
    history = tensor._keras_history
    layer = history.operation
    if isinstance(layer, keras.Model) and getattr(layer, "outputs", None):
        inner = with_head(layer, num_classes)
        inputs = layer._inbound_nodes[history.node_index].input_tensors
        return keras.Model(inputs_of(model), inner(inputs), name=model.name)
    if not isinstance(layer, keras.layers.Dense):
        raise ValueError(
            f"{model.name!r} must end in a Dense layer to get a new one for {num_classes} classes. "
            f"Received: it ends in {type(layer).__name__} {layer.name!r}"
        )
    (features,) = layer._inbound_nodes[history.node_index].input_tensors
    head = keras.layers.Dense(num_classes, name=layer.name)
    return keras.Model(inputs_of(model), head(features), name=model.name)
