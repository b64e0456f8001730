"""What is odd in a dataset: found before it is trained on, and told by `logitkd data check`."""

import collections

import numpy as np

from keras_logitkd.data.image_files import listed
from keras_logitkd.storage import hashing

MAJORITY = 0.8  # share of one class above which accuracy says little


def report(dataset):
    """Looks at every image of a dataset.

    Of image files what is remembered of them is enough; of other datasets all are decoded.

    Args:
        dataset: a `Dataset`.

    Returns:
        Dict of values that JSON has: `parts` (examples by part), `classes` (name and examples by
        part), `unreadable` (files that were left out, and why), `sizes` (smallest, median and
        largest by area, (width, height) in pixels), `duplicates` (of images with the same content:
        `files`, their names, and `parts`), `near_empty` (names of classes with one image to train
        on) and `majority` (class and share of the training images that most are of).
    """
    parts = dataset.parts()
    counts = {
        part: np.bincount(split.labels[indices], minlength=dataset.num_classes)
        for part, (split, indices) in parts.items()
    }
    entries = {part: _entries(*where) for part, where in parts.items()}
    trained = counts["train"]
    most = int(np.argmax(trained))
    return {
        "name": dataset.name,
        "parts": {part: len(indices) for part, (_, indices) in parts.items()},
        "classes": [
            {"name": name} | {part: int(count[label]) for part, count in counts.items()}
            for label, name in enumerate(dataset.class_names)
        ],
        "unreadable": [{"file": name, "reason": reason} for name, reason in dataset.unreadable],
        "sizes": _sizes([size for rows in entries.values() for _, _, size in rows]),
        "duplicates": _duplicates(entries),
        "near_empty": [dataset.class_names[label] for label in np.flatnonzero(trained == 1)],
        "majority": {
            "class": dataset.class_names[most],
            "share": float(trained[most] / trained.sum()),
        },
    }


def warnings(found):
    """Returns what of a `report` makes numbers say less than they seem to, a list of lines."""
    name, lines = found["name"], []
    if found["near_empty"]:
        lines.append(f"{name}: one image to train on in the class {listed(found['near_empty'])}.")
    majority = found["majority"]
    if majority["share"] > MAJORITY:
        lines.append(
            f"{name}: {majority['share']:.0%} of the training images are of the class "
            f"{majority['class']}: accuracy says little."
        )
    for part in ("test", "validation"):
        shared = shared_with_training(found, part)
        if shared:
            pairs = listed([" = ".join(group["files"]) for group in shared])
            lines.append(
                f"{name}: pictures of the {part} part that are in training, too, so that its "
                f"accuracy is too high: {len(shared):,} ({pairs})."
            )
    return lines


def shared_with_training(found, part):
    """Returns the duplicates of a `report` that are both in training and in another part."""
    return [group for group in found["duplicates"] if {"train", part} <= set(group["parts"])]


def _entries(split, indices):
    """(name, digest of the content, (width, height)) of each example."""
    files = getattr(split.images, "files", None)
    if files is not None:
        facts = [files.facts[index] for index in indices]
        names = map(files.name_of, indices)
        return [
            (name, fact.digest, (fact.width, fact.height))
            for name, fact in zip(names, facts, strict=True)
        ]
    images = zip(indices, split.images.read(indices), strict=True)
    return [
        (
            f"{split.name} {index}",
            hashing.of(repr(image.shape), np.ascontiguousarray(image)),
            (image.shape[1], image.shape[0]),
        )
        for index, image in images
    ]


def _sizes(sizes):
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    places = {"smallest": 0, "median": len(ordered) // 2, "largest": -1}
    return {name: [int(side) for side in ordered[place]] for name, place in places.items()}


def _duplicates(entries):
    """The images with the same content, more than one of each."""
    groups = collections.defaultdict(list)
    for part, rows in entries.items():
        for name, digest, _ in rows:
            groups[digest].append((part, name))
    return [
        {"parts": list(dict.fromkeys(part for part, _ in group)), "files": [n for _, n in group]}
        for group in groups.values()
        if len(group) > 1
    ]
