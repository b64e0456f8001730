"""Dataclasses from JSON that somebody else may have written, checked field by field."""

import dataclasses
import difflib
import types
import typing

_WORDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}


def checked(cls, config, name):
    """Returns the arguments of a dataclass from a JSON object.

    Args:
        cls: the dataclass; its annotations are the schema. Fields of other types than numbers,
            texts, booleans and tuples of them are left to their own checks.
        config: what JSON gave.
        name: how to name the object in errors.

    Returns:
        A dict, lists having become tuples.

    Raises:
        ValueError: If it is no object, a field is unknown, missing, or of another type.
    """
    if not isinstance(config, dict):
        raise ValueError(f"{name} must be a JSON object. Received: {config!r}")
    hints = typing.get_type_hints(cls)
    for key in config:
        if key not in hints:
            nearest = difflib.get_close_matches(str(key), hints, n=1, cutoff=0)[0]
            raise ValueError(f"{name} has the unknown field {key!r}. The nearest is {nearest!r}")
    for field in dataclasses.fields(cls):
        if field.name not in config and field.default is dataclasses.MISSING:
            raise ValueError(f"{name} must have the field {field.name!r}")
    return {key: _value(f"{name}: `{key}`", value, hints[key]) for key, value in config.items()}


def _value(what, value, hint):
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in allowed:
        return None
    kind = next(part for part in allowed if part is not type(None))
    if typing.get_origin(kind) is tuple:
        return _items(what, value, typing.get_args(kind)[0])
    if kind in _WORDS and not _is(value, kind):
        raise ValueError(f"{what} must be {_WORDS[kind]}. Received: {value!r}")
    return value


def _items(what, value, kind):
    if not isinstance(value, list | tuple) or not all(_is(item, kind) for item in value):
        raise ValueError(f"{what} must be a list, each of it {_WORDS[kind]}. Received: {value!r}")
    return tuple(value)


def _is(value, kind):
    """Whether JSON's value is of a type; a boolean is no number, an integer is one."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
