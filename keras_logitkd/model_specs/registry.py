"""The kinds of specifications of networks, one row each.

Nothing here imports Keras or reads a file, so that a command line can check names at once.
"""

import difflib
import importlib
import typing

_APPLICATIONS = "keras:"
_HUB = "hub:"
_FILE_SUFFIXES = (".keras", ".h5")


class Kind(typing.NamedTuple):
    """A row: specifications that look alike and that one module reads.

    The module has `parse(text)`, which returns a `ModelSpec` or raises ValueError.
    """

    module: str
    form: str  # of texts, for people
    owns: typing.Callable  # whether a text is meant as one of these


def _is_file(text):
    return text.partition("?")[0].endswith(_FILE_SUFFIXES)


def _is_function(text):
    path, colon, name = text.rpartition(":")
    return bool(path and colon and name)


# A text belongs to the first row that owns it.
KINDS = [
    Kind(
        "keras_logitkd.model_specs.applications",
        "keras:NAME[?option=value][@imagenet or @WEIGHTS.h5]",
        lambda text: text.startswith(_APPLICATIONS),
    ),
    Kind(
        "keras_logitkd.model_specs.hub",
        "hub:PRESET[?fresh]",
        lambda text: text.startswith(_HUB),
    ),
    Kind("keras_logitkd.model_specs.files", "FILE.keras[?fresh]", _is_file),
    Kind(
        "keras_logitkd.model_specs.functions",
        "FILE.py:FUNCTION or MODULE:FUNCTION",
        _is_function,
    ),
    Kind(
        "keras_logitkd.model_specs.zoo_models",
        "a name of `logitkd zoo` such as wrn-16-2[@WEIGHTS.pt]",
        lambda text: True,
    ),
]


def forms():
    """Returns how specifications look, for people."""
    return "; ".join(kind.form for kind in KINDS)


def parse(text):
    """Returns the `ModelSpec` of a text. No file is read and nothing heavy imported.

    Raises:
        ValueError: If there is no such network, with the nearest that there are.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"A model must be {forms()}. Received: {text!r}")
    text = text.strip()
    kind = next(kind for kind in KINDS if kind.owns(text))
    return importlib.import_module(kind.module).parse(text)


def is_spec(text):
    """Whether a text names a network, without a reason where it does not."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def name_of(text):
    """Returns the short name of a specification; of what is none, or not there, the text."""
    return parse(text).name if is_spec(text) else text


def is_pretrained(text):
    """Whether a specification comes with weights; of what is none, or not there, False."""
    return is_spec(text) and parse(text).is_pretrained


def suggestion(name, known):
    """Returns a sentence with the names nearest to one that is not known, or ""."""
    lower = {each.lower(): each for each in known}
    longer = [each for each in lower if name and each.startswith(name.lower())][:3]
    near = longer or difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(lower[each] for each in near)}?" if near else ""


def read_options(text, allowed, what):
    """Returns the options behind a question mark, `a=1&b=x&flag`, as a dict; a flag is True.

    Args:
        text: what follows the question mark.
        allowed: dict of names to types: float, int or bool.
        what: names the network, for messages.

    Raises:
        ValueError: If there is no such option, or its value is none.
    """
    found = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if name not in allowed:
            options = f"has the options {', '.join(allowed)}" if allowed else "has no options"
            raise ValueError(f"{what} {options}. Received: {part!r}.{suggestion(name, allowed)}")
        if name in found:
            raise ValueError(f"{what}: {name} is given twice")
        found[name] = _value(name, allowed[name], value if equals else None, what)
    return found


def _value(name, kind, text, what):
    if kind is bool:
        words = {None: True, "true": True, "1": True, "false": False, "0": False}
        found = words.get(text if text is None else text.lower())
    else:
        try:
            found = kind(text) if text else None
        except ValueError:
            found = None
    if found is None:
        word = {float: "a number", int: "an integer", bool: "true or false"}[kind]
        raise ValueError(f"{what}: {name} must be {word}. Received: {text!r}")
    return found
