import types

import numpy as np
import pytest

from keras_logitkd.runs.learning_rate import learning_rate_at
from keras_logitkd.runs.spec import fitting
from keras_logitkd.runs.spec.recipes import RECIPES, SMALL_IMAGES, recipe_for


def test_cifar100_is_the_papers_recipe():
    recipe = RECIPES["cifar100"]
    assert (recipe.epochs, recipe.batch_size) == (200, 128)
    assert (recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.9, True, 5e-4)
    assert (recipe.pad, recipe.flip, recipe.resized_crop) == (4, True, None)
    assert recipe.mean == (0.5071, 0.4865, 0.4409)
    assert recipe.std == (0.2673, 0.2564, 0.2762)
    assert recipe.validation == 0.0
    rates = [learning_rate_at(recipe, epoch) for epoch in (0, 99, 100, 149, 150, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-12)


def test_imagenet_drops_every_thirty_epochs():
    recipe = RECIPES["imagenet2012"]
    rates = [learning_rate_at(recipe, epoch) for epoch in (29, 30, 60, 90, 99)]
    assert rates == pytest.approx([0.1, 0.01, 0.001, 1e-4, 1e-4], rel=1e-12)


def described(name="folder:a", shape=(None, None, 3), count=200, side=300):
    """What a recipe depends on of a dataset."""
    return types.SimpleNamespace(name=name, image_shape=shape, train=range(count), median_side=side)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("cifar100:3.0.2", (32, 32, 3), RECIPES["cifar100"]),
        ("svhn_cropped", (32, 32, 3), RECIPES["svhn_cropped"]),
        ("folder:/a/b", (64, 64, 3), SMALL_IMAGES),
        ("npz:/a/b", (28, 28, 1), SMALL_IMAGES),
    ],
)
def test_recipes_of_rows_and_small_images_stay_as_they_were(name, shape, expected):
    assert recipe_for(described(name, shape)) == expected


@pytest.mark.parametrize(
    ("count", "side", "expected"),
    [
        (62, 43, (16, 60, 32, "wrn-16-2")),
        (62, 20, (16, 60, 32, "wrn-16-2")),
        (160, 300, (16, 60, 64, "resnet-18")),
        (1_500, 300, (32, 60, 64, "resnet-18")),
        (9_000, 300, (64, 60, 96, "resnet-18")),
        (9_000, 90, (64, 60, 64, "resnet-18")),
        (1_280_000, 375, (256, 100, 224, "resnet-50")),
    ],
)
def test_a_recipe_fits_the_number_and_the_size_of_images(count, side, expected):
    recipe = recipe_for(described(count=count, side=side))
    found = (recipe.batch_size, recipe.epochs, recipe.resized_crop, recipe.teacher)
    assert found == expected
    assert recipe.learning_rate == pytest.approx(0.1 * recipe.batch_size / 128)


def test_networks_with_weights_see_larger_views_and_are_tuned_gently():
    recipe = recipe_for(described(side=300), pretrained=True)
    assert (recipe.resized_crop, recipe.learning_rate, recipe.epochs) == (224, 0.01, 20)
    assert (recipe.head_epochs, recipe.freeze_batch_norm) == (5, True)
    assert recipe_for(described("digits", (8, 8, 1)), pretrained=True).pad == 1


def test_recipe_for_grey_large_images_measures_the_mean():
    recipe = recipe_for(described("folder:x", (100, 100, 1), side=100))
    assert recipe.mean is None
    assert recipe.std is None


def test_reasons_tell_what_was_chosen_and_not_what_was_given():
    dataset = described(count=62, side=43)
    recipe = recipe_for(dataset)
    first, second = fitting.reasons(dataset, recipe)
    assert first == "views of 32 pixels: the median image has a short side of 43"
    assert second == "60 epochs of batches of 16: 62 images, from nothing"
    assert fitting.reasons(dataset, recipe.replace(epochs=3)) == [first]
    assert fitting.reasons(dataset, recipe.replace(resized_crop=48)) == [second]


def test_replace_keeps_what_is_none():
    recipe = RECIPES["digits"].replace(epochs=3, batch_size=None, flip=False)
    assert (recipe.epochs, recipe.batch_size) == (3, RECIPES["digits"].batch_size)


@pytest.mark.parametrize(
    "fields",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"lr_drops": (1.5,)},
        {"momentum": 1.0},
        {"weight_decay": -1e-4},
        {"label_smoothing": 1.0},
        {"validation": 1.0},
        {"examples": 0},
        {"std": (0.1, 0.0)},
        {"learning_rate": float("nan")},
    ],
)
def test_recipe_out_of_range_names_the_field(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        RECIPES["digits"].replace(**fields)


def test_examples_are_drawn_from_what_is_not_held_out():
    labels = np.arange(200) % 4
    whole = RECIPES["digits"].replace(validation=0.1)
    train, held_out = whole.split(labels)
    part, same_held_out = whole.replace(examples=40).split(labels)
    np.testing.assert_array_equal(same_held_out, held_out)
    assert np.bincount(labels[part]).tolist() == [10, 10, 10, 10]
    assert set(part) < set(train)
    everything, _ = whole.replace(examples=len(train)).split(labels)
    np.testing.assert_array_equal(everything, train)


def test_examples_more_than_there_are_are_refused():
    labels = np.arange(200) % 4
    with pytest.raises(ValueError, match=r"`examples` must lie in 4\.\.180.*: examples=181"):
        RECIPES["digits"].replace(validation=0.1, examples=181).split(labels)


def test_fields_are_written_in_the_order_of_release_0_1():
    recipe = RECIPES["digits"]
    assert tuple(recipe.to_config()) == recipe.ALWAYS
    assert type(recipe).from_config(recipe.to_config()) == recipe
