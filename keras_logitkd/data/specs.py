"""What a dataset's specification says, without loading anything.

    digits            what comes with this package
    NAME[/CONFIG]     a dataset of TFDS
    npz:FILE          arrays
    folder:DIR[?OPTION[&OPTION...]]    one folder of images for each class
    csv:FILE[?OPTION[&OPTION...]]      a table of image files and labels

The options are those of `Options`: `?background=black&skip-unreadable`.
"""

import dataclasses
import os
import pathlib

from keras_logitkd.storage.errors import DataError

FILE_KINDS = ("folder", "csv")  # of images in files of their own, which have options
PATH_KINDS = ("npz", *FILE_KINDS)  # that are named by where they are
KNOWN = "digits, a TFDS name, folder:DIR, csv:FILE or npz:FILE"
_SKIP, _BACKGROUND = "skip-unreadable", "background"


@dataclasses.dataclass(frozen=True)
class Options:
    """How image files are read.

    Args:
        background: colour behind transparent pixels, any that Pillow knows. Defaults to "white".
        skip_unreadable: whether files that cannot be read are left out. Defaults to False: they
            are refused.
    """

    background: str = "white"
    skip_unreadable: bool = False


def kind_of(spec):
    """Returns which of `PATH_KINDS` a specification is of, or None."""
    kind, colon, _ = spec.partition(":")
    return kind if colon and kind in PATH_KINDS else None


def parse(spec):
    """Returns (path, `Options`) of a specification of `PATH_KINDS`.

    A path that exists is one, question mark or not.

    Raises:
        DataError: if there is no path, or an option is unknown.
    """
    kind, _, path = spec.partition(":")
    if not path:
        raise DataError(f"Dataset {spec!r} needs a path: {kind}:PATH")
    if kind not in FILE_KINDS or "?" not in path or pathlib.Path(path).expanduser().exists():
        return path, Options()
    path, _, text = path.rpartition("?")
    return path, _options(spec, text)


def _options(spec, text):
    fields = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if part == _SKIP:
            fields["skip_unreadable"] = True
        elif name == _BACKGROUND and value:
            fields["background"] = value
        else:
            raise DataError(
                f"{spec!r} must have the options {_BACKGROUND}=COLOUR or {_SKIP} after the "
                f"question mark. Received: {part!r}"
            )
    return Options(**fields)


def _joined(kind, path, options):
    parts = [_SKIP] if options.skip_unreadable else []
    if options.background != Options().background:
        parts.insert(0, f"{_BACKGROUND}={options.background}")
    return f"{kind}:{path}" + (f"?{'&'.join(parts)}" if parts else "")


def absolute(spec):
    """Returns a specification that means the same from every working directory."""
    if (kind := kind_of(spec)) is None:
        return spec
    path, options = parse(spec)
    return _joined(kind, os.path.abspath(os.path.expanduser(path)), options)


def skipping(spec):
    """Returns the specification that leaves out files that cannot be read.

    Raises:
        DataError: if the dataset is not one of image files.
    """
    kind = kind_of(spec)
    if kind not in FILE_KINDS:
        raise DataError(
            f"Unreadable files can be left out of {' and '.join(FILE_KINDS)} only. Received: {spec}"
        )
    path, options = parse(spec)
    return _joined(kind, path, dataclasses.replace(options, skip_unreadable=True))


def stem(spec):
    """Returns a short name of a dataset, for files that are made of it."""
    return pathlib.Path(parse(spec)[0]).stem if kind_of(spec) else spec
