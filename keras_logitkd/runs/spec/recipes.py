"""Recipes: how a network is trained on a dataset, one row of data each."""

import dataclasses
import logging
import math
from typing import ClassVar

import numpy as np

from keras_logitkd.data.dataset import draw_part, split_validation
from keras_logitkd.data.views import registry
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.runs.spec import recipe_fields
from keras_logitkd.storage.fields import base_of, check_fields
from keras_logitkd.storage.schema import Described

_log = logging.getLogger(__name__)

UNIT = 255.0  # pixel value that the published means and deviations are fractions of


_ROWS = recipe_fields.rows()


@dataclasses.dataclass(frozen=True)
class Recipe(Described, base_of(_ROWS)):
    """How to train on a dataset: the fields of `recipe_fields`, which explain themselves.

    Weight decay is L2 as in PyTorch: its product with a kernel is added to the kernel's gradient,
    before the momentum. Biases and batch normalisation have none. A field that is added later
    changes no name of a run while it has its default, see `storage.schema`.

    Raises:
        ValueError: If a field is out of range.
    """

    ALWAYS: ClassVar = (
        *("epochs", "batch_size", "learning_rate", "lr_drops", "lr_drop_factor", "momentum"),
        *("nesterov", "weight_decay", "label_smoothing", "pad", "flip", "resized_crop"),
        *("validation", "examples", "mean", "std", "teacher"),
    )

    def __post_init__(self):
        values = dataclasses.asdict(self)
        for name, value in values.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(part, float) and not math.isfinite(part) for part in numbers):
                raise ValueError(f"`{name}` must be finite. Received: {name}={value}")
        check_fields(_ROWS, values)
        _ = self.augmentation  # which checks the fields it is made of, together

    @property
    def augmentation(self):
        """The recipe's `Augmentation`."""
        rows = registry.recipe_fields()
        return Augmentation(**{row.name: getattr(self, row.name) for row in rows})

    def split(self, labels, given=None):
        """Returns (training indices, validation indices) of a training set's labels.

        Args:
            labels: integer array of shape (n,).
            given: the validation indices of a dataset that has its own, in place of the share
                `validation`. Defaults to None.

        Raises:
            ValueError: If there are fewer examples than `examples` asks for.
        """
        if given is None:
            train, validation = split_validation(labels, self.validation)
        else:
            train, validation = np.setdiff1d(np.arange(len(labels)), given), given
        if self.examples is None:
            return train, validation
        return train[draw_part(labels[train], self.examples)], validation

    def replace(self, **fields):
        """Returns a copy with other fields; those given as None stay."""
        given = {name: value for name, value in fields.items() if value is not None}
        return dataclasses.replace(self, **given)


# The paper's code: the whole training set, because nothing is chosen on a validation set.
CIFAR = Recipe(epochs=200, pad=4, flip=True, validation=0.0)
IMAGENET = Recipe(
    epochs=100,
    batch_size=256,
    lr_drops=(0.3, 0.6, 0.9),
    nesterov=False,
    weight_decay=1e-4,
    resized_crop=224,
    flip=True,
    validation=0.0,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    teacher="resnet-152",
)

RECIPES = {
    "digits": Recipe(epochs=20, batch_size=64, pad=1, teacher="wrn-16-4"),
    "cifar100": CIFAR.replace(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    "cifar10": CIFAR.replace(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "svhn_cropped": Recipe(epochs=100, pad=4),
    "mnist": Recipe(epochs=20, pad=2, teacher="wrn-16-2"),
    "fashion_mnist": Recipe(epochs=30, pad=2, flip=True, teacher="wrn-16-2"),
    "imagenet2012": IMAGENET,
}
SMALL_IMAGES = CIFAR.replace(epochs=100, validation=0.1)
LARGEST_SMALL_SIDE = 64


def has_row(name):
    """Whether a dataset, as the catalog takes it, has a recipe of its own."""
    return _base(name) in RECIPES


def is_fitted(dataset):
    """Whether a `Dataset` gets a recipe that is made for its number and size of images."""
    sides = dataset.image_shape[:2]
    is_small = None not in sides and max(sides) <= LARGEST_SMALL_SIDE
    return not has_row(dataset.name) and not is_small


def _quick(recipe):
    return recipe.replace(epochs=max(2, round(recipe.epochs / 4)))


# What a preset makes of a recipe, by name.
PRESETS = {"standard": lambda recipe: recipe, "quick": _quick}


def recipe_for(dataset, pretrained=False, preset="standard"):
    """Returns the `Recipe` of a dataset.

    Images of one size of up to 64 pixels without a row of their own get `SMALL_IMAGES`; larger and
    varying ones what fits their number and size, see `fitting`.

    Args:
        dataset: a `Dataset`; TFDS configs and versions in its name do not matter.
        pretrained: whether the network comes with weights that were trained before. Defaults to
            False.
        preset: a name of `PRESETS`. Defaults to `"standard"`: as it is.
    """
    from keras_logitkd.runs.spec import fitting

    if has_row(dataset.name):
        recipe = RECIPES[_base(dataset.name)]
    elif not is_fitted(dataset):
        recipe = SMALL_IMAGES
    else:
        recipe = fitting.fitted_recipe(dataset, pretrained)
    return PRESETS[preset](fitting.fine_tuned(recipe) if pretrained else recipe)


def without_share(dataset, fields):
    """Returns fields of a recipe, without the share for validation where it would do nothing.

    Args:
        dataset: a `Dataset`; one with a validation part of its own has no use for a share, which
            is logged.
        fields: dict of the fields that were asked for.
    """
    share = fields.get("validation")
    if dataset.validation is None or share is None:
        return fields
    _log.warning(
        "%s has a validation part of %d images of its own: validation=%g is not used.",
        dataset.name,
        len(dataset.validation),
        share,
    )
    return {**fields, "validation": None}


def _base(name):
    return name.split("/")[0].split(":")[0]
