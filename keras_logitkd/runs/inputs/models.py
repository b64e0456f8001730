"""Networks that take raw pixels: zoo models behind a Normalization layer, and model files."""

import math
import pathlib
import zipfile

import keras
import numpy as np

from keras_logitkd import zoo
from keras_logitkd.data.statistics import channel_statistics
from keras_logitkd.networks import two_classes
from keras_logitkd.networks.endings import advice, ending_of
from keras_logitkd.networks.layers import draw_initial_values
from keras_logitkd.networks.outputs import is_graph, returns_tensor
from keras_logitkd.networks.rescaling import NAME, as_trained
from keras_logitkd.networks.shapes import compatible
from keras_logitkd.runs.spec.recipes import UNIT
from keras_logitkd.storage.unpacking import check_zip


def normalization_of(recipe, dataset):
    """Returns (mean, std) of each channel in raw pixel units, two tuples of float.

    They are the recipe's; what it does not have is measured on the training split.
    """
    given = recipe.mean is not None and recipe.std is not None
    mean, std = (None, None) if given else channel_statistics(dataset.train)
    mean = mean if recipe.mean is None else UNIT * np.array(recipe.mean)
    std = std if recipe.std is None else UNIT * np.array(recipe.std)
    channels = dataset.image_shape[-1]
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"`mean` and `std` must have one number for each of the {channels} channels. "
            f"Received: {len(mean)} and {len(std)}"
        )
    return tuple(map(float, mean)), tuple(map(float, np.where(std > 0, std, 1.0)))


def build_network(name, dataset, recipe, seed):
    """Builds an untrained network of the zoo for a dataset and a recipe.

    Its initial weights are a pure function of the name and the seed.

    Returns:
        A functional `keras.Model` from raw pixels (batch, height, width, channels) to logits.
    """
    shape = recipe.augmentation.output_shape(dataset.image_shape)
    mean, std = normalization_of(recipe, dataset)
    normalize = keras.layers.Normalization(mean=mean, variance=np.square(std).tolist(), name=NAME)
    network = zoo.build(
        name,
        shape,
        dataset.num_classes,
        weight_decay=recipe.weight_decay,
        input_tensor=normalize(keras.Input(shape, name="pixels")),
    )
    draw_initial_values(network.layers, seed)
    return network


def count_parameters(model):
    """Returns the number of trainable parameters of a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def load_model(path):
    """Loads a .keras file: a `keras.Model` that takes raw pixels and returns logits.

    The network of a run computes the bits that it computed when it was trained, see `rescaling`.

    Raises:
        ValueError: If there is no such file, it cannot be read, or the model returns no logits.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"A model must be a .keras file. Received: {path}, which does not exist")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(f"Cannot load the model file {path}: it is not a .keras (zip) file")
    try:
        if zipfile.is_zipfile(path):
            check_zip(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the zip, HDF5 and JSON readers raise.
        if "lambda" in str(error).lower():
            raise ValueError(
                f"The model file {path} has a Lambda layer: Python code in files is not run. Build "
                "the model without it and copy the weights"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"Cannot load the model file {path}: {reason}") from error
    if ending := ending_of(model):
        raise ValueError(
            f"A model file must return logits, but {path} ends in a {ending}: "
            f"{advice(ending, verb='save')}"
        )
    return as_trained(model)


def fitting_augmentation(augmentation, model):
    """Returns the augmentation with the side of a resized crop that a model takes, if it is one."""
    side = model.inputs[0].shape[1] if getattr(model, "inputs", None) else None
    if augmentation.fields["resized_crop"] is None or side is None:
        return augmentation
    return augmentation.replace(resized_crop=side)


def fitted(model, dataset, input_shape, what):
    """Returns a model that fits a dataset: it takes these images and knows these classes.

    It is the model; where this has one logit, and the dataset two classes, one with two of them.

    Args:
        model: a `keras.Model` that returns logits.
        dataset: a `Dataset`.
        input_shape: (height, width, channels) of the images as the pipeline gives them.
        what: names the model, for the message of the ValueError where it does not fit.
    """
    if not is_graph(model) or len(model.inputs) != 1 or not returns_tensor(model):
        raise ValueError(
            f"{what} must be a built functional or Sequential model with one tensor of images in "
            f"and one of logits out. Received: {type(model).__name__} {model.name!r}"
        )
    takes, gives = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]
    if not compatible(takes, input_shape):
        raise ValueError(
            f"{what} must take images of shape {input_shape} for {dataset.name}. "
            f"Received: a model for {takes}"
        )
    if (gives, dataset.num_classes) == (1, 2):
        return two_classes.with_two_logits(model)
    if gives != dataset.num_classes:
        raise ValueError(
            f"{what} must return {dataset.num_classes} logits for {dataset.name}. "
            f"Received: a model with {gives} outputs"
        )
    return model
