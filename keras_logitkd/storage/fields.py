"""Fields as rows of data: what a value is for, what it is by default and what it may be."""

import dataclasses
import typing

from keras_logitkd.storage.errors import DataError


class Field(typing.NamedTuple):
    """One field of a recipe or of a view's operation."""

    name: str
    type: object  # int, float, bool, str, a tuple of them, or one of these and None
    help: str | None  # None: what only Python may set, no option of the command line
    default: object = dataclasses.MISSING
    allowed: str | None = None  # what `check` asks for, in words: "must be ..."
    check: typing.Callable | None = None  # whether a value is allowed


def check_fields(fields, values):
    """Raises DataError where one of the values, by name, is none that its `Field` allows."""
    for field in fields:
        value = values[field.name]
        if field.check is not None and not field.check(value):
            raise DataError(
                f"`{field.name}` must be {field.allowed}. Received: {field.name}={value}"
            )


def base_of(fields):
    """Returns a frozen dataclass of some fields, to inherit from; nothing is checked."""
    rows = [
        (row.name, row.type, dataclasses.field(default=row.default, metadata={"help": row.help}))
        for row in fields
    ]
    return dataclasses.make_dataclass("Fields", rows, frozen=True)


def at_least_0(value):
    return value >= 0


# What several fields allow: the words for it and the check.
AT_LEAST_0 = ("at least 0", at_least_0)
AT_LEAST_1 = ("at least 1", lambda value: value >= 1)
POSITIVE = ("positive", lambda value: value > 0)
FRACTION = ("in [0, 1)", lambda value: 0 <= value < 1)
