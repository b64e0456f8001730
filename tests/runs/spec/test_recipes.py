import numpy as np
import pytest

from keras_logitkd.runs.learning_rate import learning_rate_at
from keras_logitkd.runs.spec.recipes import LARGE_IMAGES, RECIPES, SMALL_IMAGES, recipe_for


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


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("cifar100:3.0.2", (32, 32, 3), RECIPES["cifar100"]),
        ("svhn_cropped", (32, 32, 3), RECIPES["svhn_cropped"]),
        ("folder:/a/b", (64, 64, 3), SMALL_IMAGES),
        ("folder:/a/b", (65, 64, 3), LARGE_IMAGES),
        ("beans", (None, None, 3), LARGE_IMAGES),
    ],
)
def test_recipe_for_dataset(name, shape, expected):
    assert recipe_for(name, shape) == expected


def test_recipe_for_grey_large_images_measures_the_mean():
    recipe = recipe_for("folder:x", (100, 100, 1))
    assert recipe.mean is None
    assert recipe.std is None


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
