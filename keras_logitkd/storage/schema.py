"""Dataclasses as JSON and back; what somebody else may have written is checked field by field.

A dataclass that names things on disk grows by one rule: its class attribute `ALWAYS` has the names
of the fields that are always written, in their order; any other field is left out while it has its
default. What was written before there was a field is then found and read after it.
"""

import dataclasses
import difflib
import types
import typing

_WORDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false"}


def to_json(value):
    """Returns a dataclass as JSON types: objects, lists, and what is neither as it is.

    Args:
        value: an instance; its fields may be dataclasses, tuples and dicts of them. Also any of
            these by itself.
    """
    if dataclasses.is_dataclass(value):
        return {name: to_json(getattr(value, name)) for name in _written(value)}
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, tuple | list) else value


class Described:
    """A dataclass that is written as JSON and read again."""

    def to_config(self):
        """Returns the fields as JSON types; one that was added later only where it says more."""
        return to_json(self)

    @classmethod
    def from_config(cls, config):
        """Returns what `to_config` wrote; ValueError names a field that is wrong."""
        return from_json(cls, config, cls.__name__.lower())


def from_json(cls, config, name):
    """Returns the instance that `to_json` wrote.

    Args:
        cls: the dataclass; its annotations are the schema. Fields of other types than numbers,
            texts, booleans, dataclasses and tuples of them are left to their own checks. A
            dataclass inside it that has a `from_config` is read by that.
        config: what JSON gave.
        name: how to name the object in errors.

    Raises:
        ValueError: If it is no object, a field is unknown, missing, or of another type.
    """
    if not isinstance(config, dict):
        raise ValueError(f"{name} must be a JSON object. Received: {config!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in config:
        if key not in fields:
            nearest = difflib.get_close_matches(str(key), fields, n=1, cutoff=0)[0]
            raise ValueError(f"{name} has the unknown field {key!r}. The nearest is {nearest!r}")
    for field in fields.values():
        if field.name not in config and _default(field) is dataclasses.MISSING:
            raise ValueError(f"{name} must have the field {field.name!r}")
    hints = typing.get_type_hints(cls)
    return cls(**{key: _value(name, key, value, hints[key]) for key, value in config.items()})


def _written(instance):
    """Names of the fields that are written, those of `ALWAYS` first."""
    fields = {field.name: field for field in dataclasses.fields(instance)}
    always = getattr(instance, "ALWAYS", tuple(fields))
    grown = [name for name in fields if name not in always]
    return [
        *always,
        *(name for name in grown if getattr(instance, name) != _default(fields[name])),
    ]


def _default(field):
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _value(name, key, value, hint):
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    what, kind = f"{name}: `{key}`", next(part for part in kinds if part is not type(None))
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, str) and str in kinds else _nested(kind, key, value)
    if typing.get_origin(kind) is tuple:
        return _items(what, key, value, typing.get_args(kind)[0])
    simple = [part for part in kinds if part in _WORDS]
    if kind in _WORDS and not any(_is(value, part) for part in simple):
        words = " or ".join(_WORDS[part] for part in simple)
        raise ValueError(f"{what} must be {words}. Received: {value!r}")
    return value


def _nested(cls, name, value):
    if isinstance(value, dict) and hasattr(cls, "from_config"):
        return cls.from_config(value)
    return from_json(cls, value, name)


def _items(what, key, value, kind):
    is_list = isinstance(value, list | tuple)
    if is_list and kind not in _WORDS:
        return tuple(_value(what, key, item, kind) for item in value)
    if not is_list or not all(_is(item, kind) for item in value):
        each = f", each of it {_WORDS[kind]}" if kind in _WORDS else ""
        raise ValueError(f"{what} must be a list{each}. Received: {value!r}")
    return tuple(value)


def _is(value, kind):
    """Whether JSON's value is of a type; a boolean is no number, an integer is one."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
