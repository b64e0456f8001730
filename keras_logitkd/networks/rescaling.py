"""The normalisation at the input of a network: as it trains, and as it is saved.

Keras keeps the numbers of its Normalization layer outside the graph of operations, where exporters
such as tf2onnx do not find them. Rescaling has them inside, x * scale + offset, and is saved
instead. A run goes on computing (x - mean) / std: to the bit what it computed before.
"""

import keras
import numpy as np
from keras import ops

NAME = "normalization"  # of the layer that the networks of runs begin with


def of_normalizations(model):
    """Returns what the Normalization layers of a model, also in nested models, amount to.

    Left out are those along other axes than the last, and different ones of the same name.

    Returns:
        A dict of the layer's name to (layer, scale, offset): lists with a float for each channel.
    """
    found, names = {}, []
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            names.append(layer.name)
            if (numbers := _scale_and_offset(layer)) is not None:
                found[layer.name] = (layer, *numbers)
    return {name: each for name, each in found.items() if names.count(name) == 1}


def config_of(config, scale, offset):
    """Returns the serialized Rescaling in place of a serialized Normalization."""
    kept = {key: config["config"][key] for key in ("name", "trainable", "dtype")}
    inner = {**kept, "scale": scale, "offset": offset}
    return {**config, "class_name": "Rescaling", "config": inner}


def as_trained(model):
    """Returns the saved network of a run as it was trained: with its Normalization layer.

    It computes the bits of the network that was saved, and shares the layers of `model`. Other
    networks come back as they are.
    """

    def convert(layer):
        return _normalization(layer) if _is_ours(layer) else layer

    if not any(map(_is_ours, model.layers)):
        return model
    return keras.models.clone_model(model, clone_function=convert)


def _is_ours(layer):
    """Whether it is what `_scale_and_offset` made of a Normalization of a run."""
    is_named = isinstance(layer, keras.layers.Rescaling) and layer.name == NAME
    if not is_named or not (isinstance(layer.scale, list) and isinstance(layer.offset, list)):
        return False
    return all(np.allclose(each, np.float32(each), 1e-15, 0) for each in _mean_and_std(layer))


def _mean_and_std(layer):
    std = 1.0 / np.array(layer.scale)
    return -np.array(layer.offset) * std, std


def _normalization(layer):
    """The Normalization that a Rescaling was made of by `_scale_and_offset`, exactly."""
    mean, std = (np.float64(np.float32(each)) for each in _mean_and_std(layer))
    return keras.layers.Normalization(
        mean=mean.tolist(), variance=np.square(std).tolist(), name=layer.name, dtype=layer.dtype
    )


def _scale_and_offset(layer):
    """Scale and offset of a built Normalization, lists of float, or None along other axes.

    They are float64 of its float32 mean and deviation, which come back exactly from them.
    """
    mean, variance = (ops.cast(each, "float32") for each in (layer.mean, layer.variance))
    if keras.config.image_data_format() != "channels_last":
        return None
    if any(size != 1 for size in mean.shape[:-1]):
        return None
    std = ops.maximum(ops.sqrt(variance), keras.config.epsilon())
    mean, std = (np.ravel(ops.convert_to_numpy(each)).astype(np.float64) for each in (mean, std))
    scale, offset = (std, mean) if layer.invert else (1.0 / std, -mean / std)
    return scale.tolist(), offset.tolist()
