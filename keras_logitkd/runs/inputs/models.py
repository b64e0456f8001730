"""Networks of runs: built by their specifications, or loaded, for the images of a dataset."""

import functools
import math

import numpy as np

from keras_logitkd import model_specs
from keras_logitkd.data.statistics import channel_statistics
from keras_logitkd.networks import sizes, two_classes
from keras_logitkd.networks.model_files import load_model
from keras_logitkd.networks.outputs import is_graph, returns_tensor
from keras_logitkd.networks.shapes import compatible
from keras_logitkd.runs.spec.recipes import UNIT

__all__ = [
    "build_network",
    "count_parameters",
    "fitted",
    "fitting_augmentation",
    "load_model",
    "normalization_of",
]


def normalization_of(recipe, dataset):
    """Returns (mean, std) of each channel in raw pixel units, two tuples of float.

    They are the recipe's; what it does not have is measured on the training split.
    """
    given = recipe.mean is not None and recipe.std is not None
    mean, std = (None, None) if given else channel_statistics(dataset.train, dataset.training)
    mean = mean if recipe.mean is None else UNIT * np.array(recipe.mean)
    std = std if recipe.std is None else UNIT * np.array(recipe.std)
    channels = dataset.image_shape[-1]
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"`mean` and `std` must have one number for each of the {channels} channels. "
            f"Received: {len(mean)} and {len(std)}"
        )
    return tuple(map(float, mean)), tuple(map(float, np.where(std > 0, std, 1.0)))


def build_network(model, dataset, recipe, seed, size=None):
    """Builds the network of a run before it is trained.

    Its initial weights are a pure function of the specification, what that names, and the seed.

    Args:
        model: specification of the network, see `model_specs`.
        dataset: the `Dataset`.
        recipe: the `Recipe`.
        seed: of the initial weights.
        size: side in pixels of the network's own images. Defaults to None: that of the views.

    Returns:
        A functional `keras.Model` from raw pixels of views (batch, height, width, channels) to
        logits. Where views have another size than its own images it holds the network, see
        `sizes.own`.

    Raises:
        ValueError: If the network cannot be had or does not fit.
    """
    views = recipe.augmentation.output_shape(dataset.image_shape)
    request = model_specs.Request(
        views if size is None else (size, size, views[-1]),
        dataset.num_classes,
        recipe.weight_decay,
        seed,
        functools.partial(normalization_of, recipe, dataset),
    )
    network = model_specs.parse(model).build(request)
    return sizes.on_images(fitted(network, dataset, views, model), views)


def count_parameters(model):
    """Returns the number of trainable parameters of a model."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def fitting_augmentation(augmentation, model):
    """Returns the augmentation with the side of a resized crop that a model takes, if it is one."""
    side = model.inputs[0].shape[1] if getattr(model, "inputs", None) else None
    if augmentation.fields["resized_crop"] is None or side is None:
        return augmentation
    return augmentation.replace(resized_crop=side)


def fitted(model, dataset, input_shape, what):
    """Returns a model that fits a dataset: it takes these images and knows these classes.

    It is the model; where this has one logit, and the dataset two classes, one with two of them.
    Images of another size, or grey ones, fit where `sizes.on_images` brings them to the model.

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
    on_images = sizes.on_images(model, input_shape)
    if not compatible(tuple(on_images.inputs[0].shape[1:]), input_shape):
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
