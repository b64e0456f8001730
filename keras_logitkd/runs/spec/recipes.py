"""Recipes: how a network is trained on a dataset, one row of data each."""

import dataclasses
import math
from typing import ClassVar

from keras_logitkd.data.augment import Augmentation
from keras_logitkd.data.dataset import draw_part, split_validation
from keras_logitkd.storage.schema import from_json, to_json

UNIT = 255.0  # pixel value that the published means and deviations are fractions of


def _field(help_text, default=dataclasses.MISSING):
    return dataclasses.field(default=default, metadata={"help": help_text})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train on a dataset. The fields explain themselves in their `metadata["help"]`.

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

    epochs: int = _field("Passes over the training set.")
    batch_size: int = _field("Examples per step.", 128)
    learning_rate: float = _field("Learning rate of SGD at the start.", 0.1)
    lr_drops: tuple[float, ...] = _field(
        "When the learning rate drops, as fractions of the epochs.", (0.5, 0.75)
    )
    lr_drop_factor: float = _field("What a drop multiplies the learning rate by.", 0.1)
    momentum: float = _field("Momentum of SGD.", 0.9)
    nesterov: bool = _field("Whether the momentum is Nesterov's.", True)
    weight_decay: float = _field("L2 on the kernels, in PyTorch's sense.", 5e-4)
    label_smoothing: float = _field("Weight of the other classes in the labels (Eq. 1).", 0.0)
    pad: int = _field("Pixels of zero padding before a random crop.", 0)
    flip: bool = _field("Mirror images at random.", False)
    resized_crop: int | None = _field("Side in pixels of a random resized crop.", None)
    validation: float = _field("Fraction of the training set that is held out.", 0.1)
    examples: int | None = _field(
        "Training examples that are used, the same share of each class. [default: all]", None
    )
    mean: tuple[float, ...] | None = _field("Mean per channel over 255. [default: measured]", None)
    std: tuple[float, ...] | None = _field(
        "Standard deviation per channel over 255. [default: measured]", None
    )
    teacher: str = _field("The usual teacher.", "wrn-28-4")

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(part, float) and not math.isfinite(part) for part in numbers):
                raise ValueError(f"`{name}` must be finite. Received: {name}={value}")
        for name, allowed, holds in _BOUNDS:
            if not holds(getattr(self, name)):
                raise ValueError(
                    f"`{name}` must be {allowed}. Received: {name}={getattr(self, name)}"
                )

        _ = self.augmentation  # which checks the fields it is made of

    @property
    def augmentation(self):
        """The recipe's `Augmentation`."""
        return Augmentation(pad=self.pad, flip=self.flip, resized_crop=self.resized_crop)

    def split(self, labels):
        """Returns (training indices, validation indices) of a training set's labels.

        Raises:
            ValueError: If there are fewer examples than `examples` asks for.
        """
        train, validation = split_validation(labels, self.validation)
        if self.examples is None:
            return train, validation
        return train[draw_part(labels[train], self.examples)], validation

    def to_config(self):
        """Returns the fields as JSON types."""
        return to_json(self)

    @classmethod
    def from_config(cls, config):
        """Returns the recipe that `to_config` wrote; ValueError names a field that is wrong."""
        return from_json(cls, config, "recipe")

    def replace(self, **fields):
        """Returns a copy with other fields; those given as None stay."""
        given = {name: value for name, value in fields.items() if value is not None}
        return dataclasses.replace(self, **given)


_BOUNDS = [
    ("epochs", "at least 1", lambda value: value >= 1),
    ("batch_size", "at least 1", lambda value: value >= 1),
    ("learning_rate", "positive", lambda value: value > 0),
    ("lr_drops", "fractions in (0, 1)", lambda value: all(0 < at < 1 for at in value)),
    ("lr_drop_factor", "positive", lambda value: value > 0),
    ("momentum", "in [0, 1)", lambda value: 0 <= value < 1),
    ("weight_decay", "at least 0", lambda value: value >= 0),
    ("label_smoothing", "in [0, 1)", lambda value: 0 <= value < 1),
    ("validation", "in [0, 1)", lambda value: 0 <= value < 1),
    ("examples", "at least 1", lambda value: value is None or value >= 1),
    ("std", "positive", lambda value: value is None or all(part > 0 for part in value)),
]

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
LARGE_IMAGES = IMAGENET.replace(validation=0.1, teacher="resnet-50")
LARGEST_SMALL_SIDE = 64


def recipe_for(name, image_shape):
    """Returns the recipe of a dataset.

    Args:
        name: dataset as the catalog takes it; TFDS configs and versions do not matter.
        image_shape: (height, width, channels) for datasets without a row of their own: sides of
            up to 64 pixels get `SMALL_IMAGES`, larger and varying ones `LARGE_IMAGES`.

    Returns:
        A `Recipe`.
    """
    base = name.split("/")[0].split(":")[0]
    if base in RECIPES:
        return RECIPES[base]
    sides = image_shape[:2]
    small = None not in sides and max(sides) <= LARGEST_SMALL_SIDE
    if small:
        return SMALL_IMAGES
    is_rgb = image_shape[-1] == 3
    return LARGE_IMAGES if is_rgb else dataclasses.replace(LARGE_IMAGES, mean=None, std=None)
