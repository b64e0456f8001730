"""Label noise that is a pure function of its seed: which labels change, and into what."""

import dataclasses
import math
import numbers
import pathlib

import numpy as np

from keras_logitkd.data import randomness
from keras_logitkd.storage import hashing, schema
from keras_logitkd.storage.errors import DataError, one_line

KINDS = ("symmetric", "pair", "matrix")
_FORMS = "symmetric:RATE, pair:RATE or matrix:PATH.csv"
_SUM_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class LabelNoise:
    """How training labels are changed.

    Args:
        kind: "symmetric" (uniformly to one of the other classes), "pair" (class k to k + 1, the
            last to the first) or "matrix" (class k by row k of `matrix`).
        rate: share of the labels that change, 0 <= rate < 1. Defaults to 0.0, and must be 0 for
            "matrix", whose diagonal says what stays.
        matrix: K rows of K numbers >= 0; row k is the distribution of the new label of class k
            and sums to 1 within 1e-6. For "matrix" only. Defaults to None.
        seed: integer. Defaults to 0.

    Raises:
        DataError: if an argument is none of these.
    """

    kind: str
    rate: float = 0.0
    matrix: tuple[tuple[float, ...], ...] | None = None
    seed: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise DataError(f"`kind` must be one of {', '.join(KINDS)}. Received: {self.kind!r}")
        if not isinstance(self.rate, numbers.Real) or not 0 <= self.rate < 1:
            raise DataError(f"`rate` must be at least 0 and below 1. Received: rate={self.rate!r}")
        if not isinstance(self.seed, numbers.Integral):
            raise DataError(f"`seed` must be an integer. Received: seed={self.seed!r}")
        given = self.matrix is not None
        if (self.kind == "matrix") != given:
            raise DataError(
                "`matrix` must be given for the kind 'matrix', and for no other. "
                f"Received: kind={self.kind!r} {'with' if given else 'without'} it"
            )
        if self.kind == "matrix" and self.rate:
            raise DataError(
                "`rate` must be 0 for the kind 'matrix', which says itself what changes. "
                f"Received: rate={self.rate!r}"
            )
        object.__setattr__(self, "rate", float(self.rate))
        object.__setattr__(self, "seed", int(self.seed))
        if given:
            object.__setattr__(self, "matrix", _checked_matrix(self.matrix))

    @property
    def label(self):
        """Short text such as "symmetric 0.4"; a matrix shows its size and a digest."""
        if self.kind != "matrix":
            return f"{self.kind} {self.rate:.12g}"
        size, digest = len(self.matrix), hashing.of_json(self.matrix)
        return f"matrix {size}x{size} {digest[:6]}"

    def to_config(self):
        """Returns a dict of JSON values, from which `from_config` makes an equal object."""
        return schema.to_json(self)

    @classmethod
    def from_config(cls, config):
        """Makes the object that `to_config` described.

        Raises:
            DataError: if a key is missing or unknown, or a value is not allowed.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        if "kind" not in config or not set(config) <= fields:
            raise DataError(
                f"`config` must hold kind and at most {', '.join(sorted(fields))}. "
                f"Received: {', '.join(map(str, config)) or 'an empty config'}"
            )
        return cls(**config)


def _checked_matrix(matrix):
    """Returns a transition matrix as tuples of floats."""
    try:
        rows = tuple(tuple(float(value) for value in row) for row in matrix)
    except (TypeError, ValueError) as error:
        raise DataError(f"`matrix` must be rows of numbers. Received: {one_line(error)}") from error
    if len(rows) < 2:
        raise DataError(f"`matrix` must have at least 2 rows. Received: {len(rows)}")
    for number, row in enumerate(rows):
        where = f"`matrix` row {number} (of class {number})"
        if len(row) != len(rows):
            raise DataError(
                f"`matrix` must be square. Received: {len(rows)} rows, and {len(row)} numbers in "
                f"row {number} (of class {number})"
            )
        wrong = [value for value in row if not 0 <= value < math.inf]
        if wrong:
            raise DataError(f"{where} must hold finite numbers >= 0. Received: {wrong[0]}")
        total = math.fsum(row)
        if abs(total - 1) > _SUM_TOLERANCE:
            raise DataError(f"{where} must sum to 1. Received: a sum of {total:.9g}")
    return rows


def parse_noise(spec, seed=0):
    """Reads label noise from text.

    Args:
        spec: "symmetric:RATE", "pair:RATE" or "matrix:PATH.csv"; the file holds K lines of K
            numbers and no header.
        seed: integer. Defaults to 0.

    Returns:
        A `LabelNoise`.

    Raises:
        DataError: if `spec` is none of these, its rate or matrix is not allowed, or the file
            cannot be read.
    """
    kind, _, value = str(spec).partition(":")
    if kind not in KINDS or not value:
        raise DataError(f"`noise` must be {_FORMS}. Received: noise={spec!r}")
    if kind == "matrix":
        return LabelNoise(kind, matrix=_read_matrix(value), seed=seed)
    try:
        rate = float(value)
    except ValueError:
        raise DataError(f"`noise` must be {_FORMS}. Received: noise={spec!r}") from None
    return LabelNoise(kind, rate=rate, seed=seed)


def _read_matrix(path):
    """Reads lines of comma-separated numbers; blank lines are skipped."""
    try:
        text = pathlib.Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the noise matrix {path} ({one_line(error)}).") from error
    matrix = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split(",")
        try:
            matrix.append([float(cell) for cell in cells])
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: must hold comma-separated numbers only, without "
                f"a header ({one_line(error)})."
            ) from error
        if len(cells) != len(matrix[0]):
            raise DataError(
                f"{path}, line {number}: must have as many numbers as the first line, "
                f"{len(matrix[0])}. Received: {len(cells)}"
            )
    return matrix


def apply_noise(noise, labels, num_classes):
    """Changes labels, a pure function of its arguments on every machine.

    Symmetric and pair noise change exactly round(rate * n) labels. A matrix gives each class its
    row times the class's count, rounded by largest remainder: every entry is exact to one example.
    Which examples change depends on the seed and on n, so `labels` should be all the training
    labels, in the order of the split; with one seed, a higher rate changes the same examples and
    more.

    Args:
        noise: a `LabelNoise`.
        labels: integer array of shape (n,), classes in 0..num_classes - 1. It is not modified.
        num_classes: number of classes, K >= 2.

    Returns:
        (noisy, flipped): int32 array (n,) of labels, and bool array (n,) that is True exactly
        where they differ from `labels`.

    Raises:
        DataError: if labels or classes are out of range, or a matrix is not K x K.
    """
    labels = np.asarray(labels)
    _check_labels(noise, labels, num_classes)
    labels = labels.astype(np.int32)
    noisy, count = labels.copy(), len(labels)
    shuffled = randomness.permutation(randomness.NOISE, noise.seed, 0, count)
    if noise.kind == "matrix":
        by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
        noisy[by_class] = _targets(noise.matrix, np.bincount(labels, minlength=num_classes))
    else:
        chosen = shuffled[: round(noise.rate * count)]
        noisy[chosen] = (labels[chosen] + _steps(noise, count, num_classes)[chosen]) % num_classes
    return noisy, noisy != labels


def _check_labels(noise, labels, num_classes):
    if num_classes < 2:
        raise DataError(f"`num_classes` must be at least 2. Received: num_classes={num_classes}")
    if noise.matrix is not None and len(noise.matrix) != num_classes:
        raise DataError(
            f"The noise matrix must have one row for each of the {num_classes} classes. "
            f"Received: {len(noise.matrix)} rows"
        )
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            "`labels` must be integers of shape (n,). "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise DataError(
            f"`labels` must lie in 0..{num_classes - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )


def _steps(noise, count, num_classes):
    """How many classes each label moves on, 1..K-1, should it be chosen: int64 (n,)."""
    if noise.kind == "pair":
        return np.ones(count, np.int64)
    raw = randomness.words(randomness.NOISE, noise.seed, 1, count)
    return 1 + (raw % np.uint64(num_classes - 1)).astype(np.int64)


def _targets(matrix, counts):
    """The new labels of all examples of class 0, then of class 1, ...: int64 (n,)."""
    classes = np.arange(len(matrix))
    per_class = [
        np.repeat(classes, _largest_remainder(row, count))
        for row, count in zip(matrix, counts, strict=True)
    ]
    return np.concatenate(per_class)


def _largest_remainder(row, count):
    """Rounds row * count to integers that sum to count."""
    # fsum and divisions of single numbers round alike on every machine; sums of arrays may not.
    quotas = np.array([value / math.fsum(row) * int(count) for value in row])
    whole = np.floor(quotas).astype(np.int64)
    preferred = np.argsort(whole - quotas, kind="stable")
    whole[preferred[: int(count) - int(whole.sum())]] += 1
    return whole
