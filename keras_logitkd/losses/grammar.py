"""How terms of an objective are written down, the same for logit losses and feature methods.

    TERM = NAME[:ARGUMENT][,OPTION=VALUE...]

Such as kl:3, or kl:3,scale=squared, or at:weight=500,mode=paper.

Options are those of the class, read as the type of their defaults; lists of values are separated
by slashes. The argument is the option that may be given without its name, such as a temperature;
where there is none before the first option, the options follow the colon. Needs no Keras.
"""

import difflib
import importlib
import inspect
import re

_BASES = ("Layer", "Loss")  # of Keras; their arguments are no options
_NO_OPTIONS = ("name", "reduction", "dtype")


def split_list(text):
    """Returns the terms in a list with commas, which may be between options, too."""
    return tuple(part.strip() for part in re.split(r",(?!\s*\w+=)", text))


def name_of(term):
    """Returns the name that a term begins with."""
    return re.split("[:@,]", term)[0]


def load(location):
    """Returns the class at `"module:Class"`."""
    module, _, name = location.partition(":")
    return getattr(importlib.import_module(module), name)


def options_of(cls):
    """Returns the options of a class with their defaults, a dict."""
    options = {}
    for parent in cls.__mro__:
        if parent.__name__ in _BASES:
            break
        for parameter in inspect.signature(parent.__init__).parameters.values():
            if parameter.default is not parameter.empty and parameter.name not in _NO_OPTIONS:
                options.setdefault(parameter.name, parameter.default)
    return options


def split_argument(term):
    """Returns (argument or None, text of the options) of a term."""
    rest = term[len(name_of(term)) :]
    first, _, others = rest[1:].partition(",")
    if rest[:1] != ":" or "=" in first:
        return None, rest[1:]
    return first, others


def read_options(name, cls, text, argument=None):
    """Returns the options that a term gives after its name, a dict.

    Args:
        name, cls: of the term.
        text: of the options, OPTION=VALUE separated by commas.
        argument: the option that is given without its name, which is none of these.

    Raises:
        ValueError: If there is no such option, or a value is not of its type.
    """
    known, given = options_of(cls), {}
    known.pop(argument, None)
    for part in text.split(",") if text else ():
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or option not in known:
            raise ValueError(
                f"An option of {name} must be one of {', '.join(known)}, as OPTION=VALUE. "
                f"Received: {part!r}{hint(option, known)}"
            )
        given[option] = read(name, option, value, known[option])
    return given


def read(name, option, text, default):
    """Returns the value of an option, of the type of its default, or raises ValueError."""
    if option == "weight":
        return text  # the method reads a number or a schedule
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
    except (KeyError, ValueError):
        what = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise ValueError(
            f"`{option}` of {name} must be {what}. Received: {option}={text}"
        ) from None
    if kind is tuple:
        return tuple(text.split("/"))
    if default is None and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def hint(name, known):
    """Returns a sentence that names what is near to a wrong name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f". Did you mean {near[0]!r}?" if near else ""
