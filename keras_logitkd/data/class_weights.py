"""What each class counts in a training: a text in recipes, numbers by class where it acts."""

import csv
import difflib
import json
import math
import pathlib

import numpy as np

from keras_logitkd.storage.errors import DataError

BALANCED = "balanced"


def read_text(text):
    """Returns the canonical text of class weights.

    Args:
        text: `"balanced"`; a JSON object of class to weight; or the path of a file, which holds
            such an object (`.json`), or rows of class and weight, tabs between them where it is
            `.tsv` and commas else; a first row without a number is a header. A class is its name or
            its number.

    Returns:
        `"balanced"`, or the JSON object with its classes sorted.

    Raises:
        DataError: If it is none of these, a weight is no number of at least 0, or all are 0.
    """
    if text == BALANCED:
        return text
    weights = _object(text, "class weights") if text.lstrip().startswith("{") else _in_file(text)
    for name, weight in weights.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight < math.inf:
            raise DataError(
                f"`class_weight` must be numbers of at least 0. Received: {weight!r} for {name!r}"
            )
    if not any(weights.values()):
        raise DataError(f"`class_weight` must have a weight above 0. Received: {text}")
    weights = {name: float(weight) for name, weight in weights.items()}
    return json.dumps(weights, sort_keys=True, ensure_ascii=False)


def is_canonical(text):
    """Whether `read_text` gives a text such as this one; None, no weights, is such, too."""
    if text is None or text == BALANCED:
        return True
    try:
        return text.lstrip().startswith("{") and bool(read_text(text))
    except DataError:
        return False


def weights_of(text, labels, class_names):
    """Returns the weights of a canonical text, {class number: weight}.

    Args:
        text: as `read_text` returns it; `"balanced"` gives class k the weight n / (K n_k), n_k of
            the n labels being k, and K the number of classes that there are.
        labels: integer array of shape (n,), what is trained on.
        class_names: tuple of texts.

    Returns:
        Dict of int to float; a class that is not in it counts 1.

    Raises:
        DataError: If a class is not of the data, or named twice.
    """
    if text == BALANCED:
        from sklearn.utils.class_weight import compute_class_weight

        classes = np.unique(labels)
        weights = compute_class_weight(BALANCED, classes=classes, y=labels)
        return {int(number): float(weight) for number, weight in zip(classes, weights, strict=True)}
    found = {}
    for name, weight in _object(text, "class weights").items():
        number = _number_of(name, class_names)
        if number in found:
            raise DataError(
                "`class_weight` must name each class once. Received: the name and the number of "
                f"{class_names[number]!r}"
            )
        found[number] = weight
    return found


def _number_of(name, class_names):
    if name in class_names:
        return class_names.index(name)
    if name.isdecimal() and int(name) < len(class_names):
        return int(name)
    near = difflib.get_close_matches(name, class_names, n=1, cutoff=0)[0]
    raise DataError(
        f"`class_weight` must name classes of the data, or numbers below {len(class_names)}. "
        f"Received: {name!r}. The nearest is {near!r}"
    )


def _in_file(path):
    file = pathlib.Path(path).expanduser()
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "`class_weight` must be balanced, or a JSON or CSV file of classes and their weights. "
            f"Received: {path!r}, which cannot be read"
        ) from error
    if file.suffix.lower() == ".json":
        return _object(content, path)
    return _rows(content, path, "\t" if file.suffix.lower() == ".tsv" else ",")


def _object(content, what):
    try:
        pairs = json.loads(content, object_pairs_hook=lambda pairs: pairs)
    except ValueError as error:
        raise DataError(f"{what} must be a JSON object of class to weight: {error}") from error
    if not pairs or not all(isinstance(pair, tuple) for pair in pairs):
        raise DataError(f"{what} must be a JSON object of class to weight. Received: {content!r}")
    return _once(pairs, what)


def _rows(content, path, delimiter):
    """The rows of a table, without its header."""
    rows = [row for row in csv.reader(content.splitlines(), delimiter=delimiter) if row]
    pairs = []
    for number, row in enumerate(rows):
        try:
            name, weight = row
            pairs.append((name.strip(), float(weight)))
        except ValueError as error:
            if number or len(row) != 2:
                raise DataError(
                    f"{path} must have a class and its weight in each row. Received: {row}"
                ) from error
    if not pairs:
        raise DataError(f"{path} must have a class and its weight in each row. Received: none")
    return _once(pairs, path)


def _once(pairs, what):
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{what} must name each class once. Received: {twice[0]!r} twice")
    return dict(pairs)
