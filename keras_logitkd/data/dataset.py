"""What a dataset is: two splits of labelled images under a stable index."""

import dataclasses
import functools

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.storage import hashing
from keras_logitkd.storage.errors import DataError

HOLD_OUT = 0.2  # of a dataset that has no test part

_SIDES_SAMPLE = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Labelled images; position i is example i, in every process and every run.

    Args:
        name: "train" or "test", or the specification of images without labels.
        labels: int32 array of shape (n,).
        images: a source of n images, see `keras_logitkd.data.sources`.
    """

    name: str
    labels: np.ndarray
    images: object

    def __len__(self):
        return len(self.labels)

    def __post_init__(self):
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{self.name} split: images and labels must be equally many. "
                f"Received: {len(self.images)} images, {len(self.labels)} labels"
            )

    def fingerprint(self):
        """Returns the sha256 (hex) of the split's labels and images."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self):
        labels = np.ascontiguousarray(self.labels, dtype="<i4")
        return hashing.of(labels, self.images.fingerprint())


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split.

    Args:
        name: the specification it was loaded by.
        class_names: tuple of strings; class k is `class_names[k]`.
        image_shape: (height, width, channels); height and width are None where sizes vary.
        train: the `Split` to learn from; validation is split from it.
        test: the `Split` for the final number.
        validation: int64 array of the positions in `train` that are the validation part, where the
            dataset has one of its own. Defaults to None: a share is split off.
        unreadable: tuple of (file, reason), of image files that were left out as they cannot be
            read. Defaults to none.
        unlabelled: a `Split` of images without labels, named by its specification, see
            `unlabelled`. Defaults to None. It has no part in the fingerprint.
    """

    name: str
    class_names: tuple
    image_shape: tuple
    train: Split
    test: Split
    validation: np.ndarray | None = None
    unreadable: tuple = ()
    unlabelled: Split | None = None

    def __post_init__(self):
        for split in (self.train, self.test):
            if not len(split):
                raise DataError(
                    f"Dataset {self.name!r} has no {split.name} examples: it is too small to hold "
                    "some out, or that part is empty"
                )

    @property
    def num_classes(self):
        return len(self.class_names)

    @property
    def in_memory(self):
        """Whether both splits hold their images as arrays."""
        return self.train.images.in_memory and self.test.images.in_memory

    @functools.cached_property
    def median_side(self):
        """The median of the images' short sides in pixels, of a fixed sample where sizes vary."""
        if None not in self.image_shape[:2]:
            return min(self.image_shape[:2])
        order = randomness.permutation(randomness.SAMPLE, 1, 0, len(self.train))[:_SIDES_SAMPLE]
        return int(np.median([self.train.images.short_side(index) for index in order]))

    @functools.cached_property
    def training(self):
        """Positions in `train` of what may be trained on, or None: all of them."""
        if self.validation is None:
            return None
        return np.setdiff1d(np.arange(len(self.train)), self.validation)

    def parts(self):
        """Returns the split and the positions in it of each part: a dict of "train", "validation"
        where the dataset has such a part, and "test" to pairs of `Split` and int64 array."""
        everything, tested = np.arange(len(self.train)), np.arange(len(self.test))
        if self.validation is None:
            return {"train": (self.train, everything), "test": (self.test, tested)}
        return {
            "train": (self.train, self.training),
            "validation": (self.train, self.validation),
            "test": (self.test, tested),
        }

    def fingerprint(self):
        """Returns the sha256 (hex) of both splits, and of what is for validation."""
        return hashing.of(self.train.fingerprint(), self.test.fingerprint(), *self._own_validation)

    @property
    def _own_validation(self):
        given = self.validation
        return () if given is None else (np.ascontiguousarray(given, dtype="<i8"),)

    def train_fingerprint(self):
        """Returns the sha256 (hex) of what is trained on or held out, and of the classes' names."""
        names = (f"\n{name}" for name in self.class_names)
        return hashing.of(self.train.fingerprint(), *names, *self._own_validation)


def split_validation(labels, fraction, seed=0):
    """Splits off a stratified validation part, a pure function of its arguments.

    Each class gives its share rounded down or up and keeps at least one example for training; the
    part has round(fraction * n) examples, or fewer where tiny classes have none to give.

    Args:
        labels: integer array of shape (n,).
        fraction: share to hold out, 0 <= fraction < 1.
        seed: integer. Defaults to 0; the seed of a run has no part in this.

    Returns:
        (train_indices, validation_indices), sorted int64 arrays.

    Raises:
        DataError: if `fraction` is out of range.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"`fraction` must be at least 0 and below 1. Received: fraction={fraction}")
    labels = np.asarray(labels)
    _, dense, counts = np.unique(labels, return_inverse=True, return_counts=True)
    takes = _shares(counts, fraction)
    shuffled = randomness.permutation(randomness.HOLD_OUT, seed, 0, len(labels))
    by_class = shuffled[np.argsort(dense[shuffled], kind="stable")]
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = rank < np.repeat(takes, counts)
    return np.sort(by_class[~held]), np.sort(by_class[held])


def draw_part(labels, count):
    """Draws a stratified part of a training set, a pure function of its arguments.

    Args:
        labels: integer array of shape (n,).
        count: number of examples, at most n and at least one for each class.

    Returns:
        Sorted int64 array of positions in `labels`: `count` of them, or a few more where very
        small classes would otherwise end up without an example.

    Raises:
        DataError: if `count` is out of range.
    """
    classes = len(np.unique(labels))
    if not classes <= count <= len(labels):
        raise DataError(
            f"`examples` must lie in {classes}..{len(labels)}: at least one for each class, and no "
            f"more than there are. Received: examples={count}"
        )
    # A seed of its own, so that the draw does not follow that of the validation part.
    kept, _ = split_validation(labels, 1 - count / len(labels), seed=1)
    return kept


def _shares(counts, fraction):
    """Rounds counts * fraction to integers by largest remainder, leaving one of each class."""
    quotas = counts * fraction
    takes = np.minimum(np.floor(quotas), counts - 1).astype(np.int64)
    missing = round(float(counts.sum()) * fraction) - int(takes.sum())
    preferred = np.argsort(-(quotas - takes), kind="stable")
    is_open = (takes + 1 < counts) & (takes < quotas)
    open_classes = preferred[is_open[preferred]]
    takes[open_classes[: max(missing, 0)]] += 1
    return takes
