"""Recipes that fit: for datasets without a row of their own, and for networks with weights.

The numbers of the rows are those of common practice for training from nothing, and were chosen so
that a few hundred images take minutes on two cores; see docs/own_pictures.md for what was measured.
"""

import typing

from keras_logitkd.data.views.registry import recipe_fields
from keras_logitkd.runs.spec.recipes import IMAGENET, Recipe

SIDES = (32, 48, 64, 96, 128, 160, 192, 224)


class Scale(typing.NamedTuple):
    """A row: how a training set of up to so many images is trained on from nothing."""

    images: float
    batch_size: int
    epochs: int
    side: int  # of a view; smaller where the images are
    teacher: str


SCALES = (
    Scale(500, 16, 60, 64, "resnet-18"),
    Scale(2_000, 32, 60, 64, "resnet-18"),
    Scale(10_000, 64, 60, 96, "resnet-18"),
    Scale(50_000, 128, 60, 128, "resnet-34"),
    Scale(200_000, 128, 60, 160, "resnet-50"),
    Scale(float("inf"), IMAGENET.batch_size, IMAGENET.epochs, 224, "resnet-50"),
)
SMALL_TEACHER = "wrn-16-2"  # for views of fewer pixels than a network for ImageNet leaves room for
_SMALL = 48
_BASE_RATE = 0.1 / 128  # the learning rate that an example of a batch adds
# What is trained on after weights that were trained before, whatever it is.
FINE_TUNING = {
    "epochs": 20,
    "learning_rate": 0.01,
    "weight_decay": 1e-4,
    "head_epochs": 5,
    "head_learning_rate": 0.1,
    "freeze_batch_norm": True,
}
_PRETRAINED_SIDE = 224


def fitted_recipe(dataset, pretrained=False):
    """Returns the `Recipe` for images of varying or large sizes that have no row of their own.

    Args:
        dataset: a `Dataset`.
        pretrained: whether the network comes with weights, which were trained on larger views.
            Defaults to False.
    """
    scale = _scale(dataset)
    side = view_side(dataset, _PRETRAINED_SIDE if pretrained else scale.side)
    is_rgb = dataset.image_shape[-1] == 3
    return Recipe(
        epochs=scale.epochs,
        batch_size=scale.batch_size,
        learning_rate=_BASE_RATE * scale.batch_size,
        flip=True,
        resized_crop=side,
        mean=IMAGENET.mean if is_rgb else None,
        std=IMAGENET.std if is_rgb else None,
        teacher=scale.teacher if side > _SMALL else SMALL_TEACHER,
    )


def view_side(dataset, most):
    """Returns the largest of `SIDES` up to `most` that the images fill: the median short side."""
    fitting = [side for side in SIDES if side <= min(most, dataset.median_side)]
    return fitting[-1] if fitting else SIDES[0]


def fine_tuned(recipe):
    """Returns the recipe of a network that comes with weights: its head first, then all of it."""
    fields = {**FINE_TUNING, "epochs": min(recipe.epochs, FINE_TUNING["epochs"])}
    return recipe.replace(**fields)


def reasons(dataset, recipe, pretrained=False):
    """Returns why a fitted recipe is as it is, a list of short sentences.

    Args:
        dataset, pretrained: as for `fitted_recipe`.
        recipe: the `Recipe` that is used, in which fields may have been given.
    """
    usual = fine_tuned(fitted_recipe(dataset, True)) if pretrained else fitted_recipe(dataset)
    same = {field.name for field in recipe_fields()} | {"epochs", "batch_size"}
    kept = {name for name in same if getattr(recipe, name) == getattr(usual, name)}
    told = []
    if "resized_crop" in kept:
        told.append(f"views of {usual.resized_crop} pixels: the median image has {_side(dataset)}")
    if kept >= {"epochs", "batch_size"}:
        why = "the network comes with weights" if pretrained else "from nothing"
        told.append(
            f"{usual.epochs} epochs of batches of {usual.batch_size}: "
            f"{len(dataset.train):,} images, {why}"
        )
    return told


def _side(dataset):
    return f"a short side of {dataset.median_side}"


def _scale(dataset):
    return next(scale for scale in SCALES if len(dataset.train) <= scale.images)
