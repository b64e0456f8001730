"""Datasets that are tables of image files and labels: CSV, or TSV, with a header."""

import csv
import io
import logging
import os
import pathlib

import numpy as np

from keras_logitkd.data import image_files, specs
from keras_logitkd.data.parts import PARTS, part_of
from keras_logitkd.storage.errors import DataError, one_line

COLUMNS = {
    "file": ("file", "path", "filename", "filepath", "image"),
    "label": ("label", "class"),
    "part": ("split", "set", "part"),
}
_DELIMITERS = ",;\t|"

_log = logging.getLogger(__name__)


def load_csv(spec, memory_budget, checked=False):
    """Loads a table with a column of files, one of labels and, if it has one, one of parts.

    Columns are known by the names of `COLUMNS`, in upper or lower case, and parts by those of
    `parts.PARTS`; other columns are not read, which is said. Values are separated by commas,
    semicolons, tabs or bars.

    Args:
        spec: "csv:FILE" with options as in `specs`. Files in it are relative to its folder.
        memory_budget: bytes; images of one size that fit are held in memory.
        checked: whether every file is decoded first, see `image_files.assemble`.

    Returns:
        A `Dataset`, in the order of the table. Classes are sorted, as numbers where all are.

    Raises:
        DataError: if there is no such table, its header or a part is unknown, a row has no file or
            label, files are missing or named twice, a class has no row to train on, or images are
            unreadable.
    """
    path, options = specs.parse(spec)
    table = pathlib.Path(os.path.abspath(pathlib.Path(path).expanduser()))
    return image_files.assemble(find(spec, table), memory_budget, options, checked)


def find(name, table):
    """Lists the labelled images of a table without opening them.

    Args:
        name: the dataset's specification, for messages.
        table: absolute pathlib.Path of the table.

    Returns:
        An `image_files.Found`.

    Raises:
        DataError: as `load_csv`, but for unreadable images.
    """
    rows = _rows(name, table)
    class_names = _sorted_classes({label for _, label, _ in rows})
    if len(class_names) < 2:
        raise DataError(f"{name} must have at least two classes. Received: {len(class_names)}")
    number = {class_name: label for label, class_name in enumerate(class_names)}
    by_part = {part: ([], []) for part in PARTS}
    for file, label, part in rows:
        paths, labels = by_part[part]
        paths.append(pathlib.Path(os.path.normpath(table.parent / file)))
        labels.append(number[label])
    parts = {
        part: (paths, np.array(labels, np.int32))
        for part, (paths, labels) in by_part.items()
        if paths
    }
    trained = {label for _, label, part in rows if part == "train"}
    untrained = [class_name for class_name in class_names if class_name not in trained]
    if untrained:
        raise DataError(
            f"{name}: every class must have a row of the train part. Without one: "
            f"{image_files.listed(untrained)}"
        )
    _check_files(name, table.parent, [path for paths, _ in parts.values() for path in paths])
    return image_files.Found(name, table.parent, class_names, parts)


def _rows(name, table):
    """(file, label, part) of each row."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise DataError(f"{name} cannot be read: {one_line(reason)}. Received: {table}") from error
    header = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = _columns(name, next(reader, []))
        return [_row(name, reader.line_num, row, columns) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {one_line(error)}.") from error


def _columns(name, header):
    """Where in a row the columns of `COLUMNS` are."""
    words = [word.strip().lower() for word in header]
    places, known = {}, set()
    for column, names in COLUMNS.items():
        found = [place for place, word in enumerate(words) if word in names]
        if len(found) > 1:
            raise DataError(
                f"{name} must have one column of the {column}. Received: "
                f"{' and '.join(words[place] for place in found)}"
            )
        known.update(found)
        if found:
            places[column] = found[0]
    missing = [column for column in ("file", "label") if column not in places]
    if missing:
        raise DataError(
            f"{name} must name its columns in the first line: "
            f"{', '.join('|'.join(COLUMNS[column]) for column in missing)} is missing. "
            f"Received: {image_files.listed(words) or 'an empty line'}"
        )
    if unread := [word for place, word in enumerate(words) if place not in known]:
        _log.warning("%s: columns that are not read: %s.", name, image_files.listed(unread))
    return places


def _row(name, line, row, columns):
    def value(column):
        place = columns.get(column)
        return row[place].strip() if place is not None and place < len(row) else ""

    file, label, word = value("file"), value("label"), value("part")
    if not file or not label:
        raise DataError(
            f"{name}, line {line} must have a file and a label. Received: file {file!r}, label "
            f"{label!r}"
        )
    part = part_of(word) if "part" in columns else "train"
    if part is None:
        allowed = ", ".join(word for words in PARTS.values() for word in words)
        raise DataError(f"{name}, line {line} must name a part: {allowed}. Received: {word!r}")
    return file, label, part


def _sorted_classes(names):
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _check_files(name, root, paths):
    seen, twice = set(), []
    for path in paths:
        if path in seen:
            twice.append(image_files.short(path, root))
        seen.add(path)
    if twice:
        raise DataError(f"{name} must name every file once. Twice: {image_files.listed(twice)}")
    missing = [image_files.short(path, root) for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{name}: {len(missing):,} of {len(paths):,} files are not there, looked for in "
            f"{root}: {image_files.listed(missing)}"
        )
