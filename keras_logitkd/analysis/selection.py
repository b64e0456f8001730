"""Which runs can stand side by side, in which order, and what each of them is called."""

import numpy as np

from keras_logitkd.analysis import drawing
from keras_logitkd.features import objective

SPLITS = ("test", "train")


def check_together(runs, split):
    """Raises ValueError where runs cannot stand side by side; arguments are those of `analyze`."""
    if not runs:
        raise ValueError("An analysis must have at least one run. Received: none")
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={split!r}")
    _check_equal(runs, "teacher", lambda run: ",".join(run.settings.teachers) or None)
    _check_equal(runs, "dataset", lambda run: run.settings.dataset)
    _check_equal(runs, "crop size", lambda run: run.settings.recipe.resized_crop or "none")
    if split == "train":
        _check_equal(
            runs, "part of the training set", lambda run: _part(run.settings.recipe), "--split test"
        )


def order_of(run):
    """A key to sort runs by: hard labels, KL by temperature, MSE, everything else; then by seed."""
    settings = run.settings
    return settings.model, *objective.order_of(settings.objective), settings.seed


def labels_of(runs):
    """Returns what to call each run: its objective, and what else tells some of them apart."""
    settings = [run.settings for run in runs]
    names = [drawing.objective(one.objective).replace("\n", " ") for one in settings]
    others = (
        lambda one: f"{one.model},",
        lambda one: one.noise.label if one.noise else "clean labels",
        lambda one: f"{one.recipe.epochs} epochs",
        lambda one: f"{one.recipe.examples or 'all'} examples",
    )
    for number, text in enumerate(others):
        parts = [text(one) for one in settings]
        if len(set(parts)) > 1:
            pairs = zip(names, parts, strict=True)
            names = [f"{b} {a}" if number == 0 else f"{a}, {b}" for a, b in pairs]
    keys = [(name, one.seed) for name, one in zip(names, settings, strict=True)]
    return [
        f"{name} ({_place(run, runs)})" if keys.count(key) > 1 else name
        for name, key, run in zip(names, keys, runs, strict=True)
    ]


def class_numbers(names, class_names):
    """Returns the numbers of classes by their names or numbers, a list of integers.

    Raises:
        ValueError: If there is no such class.
    """
    numbers = {str(number): number for number in range(len(class_names))}
    numbers |= {name: number for number, name in enumerate(class_names)}
    for name in names:
        if name not in numbers:
            shown = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
            raise ValueError(
                f"A class must be a number of 0..{len(class_names) - 1} or one of {shown}. "
                f"Received: {name!r}"
            )
    return [numbers[name] for name in names]


def checked_classes(classes, labels, num_classes):
    """Returns three class numbers as a tuple: those given, or the first three that occur.

    Args:
        classes: three integers, or None; without three that occur this means ().
        labels: integer array of the labels of the examples.
        num_classes: K.

    Raises:
        ValueError: If those given are not three different ones that occur.
    """
    present = np.unique(labels)
    if classes is None:
        return tuple(map(int, present[:3])) if len(present) >= 3 else ()
    classes = tuple(map(int, classes))
    if len(classes) != 3 or len(set(classes)) != 3 or not set(classes) <= set(present.tolist()):
        raise ValueError(
            f"`classes` must be three different classes of 0..{num_classes - 1} that have "
            f"examples. Received: {', '.join(map(str, classes))}"
        )
    return classes


def _place(run, runs):
    """A run's name, or its path where another run has the same name."""
    name = run.directory.name
    is_unique = sum(other.directory.name == name for other in runs) == 1
    return name if is_unique else run.directory.path


def _check_equal(runs, what, value_of, advice=None):
    """None does not count: a run on hard labels goes with every teacher."""
    found = {}
    for run in runs:
        if (value := value_of(run)) is not None:
            found.setdefault(value, []).append(run.directory.name)
    if len(found) > 1:
        shown = "; ".join(f"{value} ({len(names)}: {names[0]})" for value, names in found.items())
        more = f" ({advice} does not need that)" if advice else ""
        raise ValueError(f"All runs must have the same {what}{more}. Received: {shown}")


def _part(recipe):
    return f"{recipe.examples or 'all'} examples, {recipe.validation:g} held out"
