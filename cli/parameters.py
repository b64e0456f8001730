"""Types of options: what is written on the command line, and what it must be."""

import click

from keras_logitkd import features
from keras_logitkd.data import class_weights
from keras_logitkd.features.objective import read_alpha
from keras_logitkd.losses import registry, schedules


class _Read(click.ParamType):
    """What a function reads out of a text; its ValueError says what the text must be."""

    def __init__(self, name, read):
        self.name, self.read = name, read

    def convert(self, value, param, ctx):
        if not isinstance(value, str):  # read before
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _shown_as(name):
    """Makes a type of the function below; help shows the name."""
    return lambda read: _Read(name, read)


@_shown_as("model")
def model_name(text):
    """A specification of a network."""
    from keras_logitkd import model_specs

    model_specs.parse(text)
    return text


@_shown_as("model[,...]")
def teachers(text):
    """Specifications of networks, separated by commas."""
    for part in text.split(","):
        model_name.read(part)
    return text


@_shown_as("model")
def one_teacher(text):
    """The specification of one network."""
    if "," in text:
        raise ValueError(f"{text!r} must be one model")
    return teachers.read(text)


@_shown_as("objective")
def objective(text):
    """A logit loss, feature methods, or both, or sequential."""
    if text == "sequential":
        return text
    parsed = features.Objective.parse(text)
    is_softened = parsed.argument is not None and parsed.temperature is not None
    if is_softened or (parsed.stages and not parsed.methods):
        raise ValueError(
            f"{text!r} is not {', '.join(registry.LOSSES)} or sequential. Their options are --tau "
            "and --stages"
        )
    return text


@_shown_as("loss[,...]")
def losses(text):
    """Different names of objectives, separated by commas; whether they exist is seen later."""
    parts = features.split_list(text)
    if not all(parts) or len(set(parts)) != len(parts):
        raise ValueError(f"{text!r} is not a list of different losses such as ce,kl:3")
    return parts


@_shown_as("class,class,class")
def three_names(text):
    """Three different names or numbers, separated by commas; whether they exist is seen later."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts) or len(set(parts)) != 3 or len(parts) != 3:
        raise ValueError(f"{text!r} is not a list of three classes such as 0,1,2")
    return parts


@_shown_as("devices")
def device_names(text):
    """Devices that share a batch."""
    from keras_logitkd.processes import cluster

    cluster.check_devices(text)
    return text


@_shown_as("float|schedule")
def temperature(text):
    """A number in [0, inf], or the text of a schedule of positive ones."""
    if schedules.moves(text):
        words = "a schedule of positive numbers"
        return schedules.Schedule.read("tau", text, words, lambda end: end > 0).text
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not number >= 0:
        raise ValueError(f"{text!r} is not a number in [0, inf]")
    return abs(number)  # of -0


@_shown_as("float|schedule")
def alpha(text):
    """A number in [0, 1], or the text of a schedule of such numbers."""
    return read_alpha(text).text


@_shown_as("float[,...]")
def numbers(text):
    """Numbers separated by commas."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a list of numbers such as 0.5,0.75") from None


@_shown_as("balanced|FILE")
def class_weight(text):
    """`balanced`, or a file of classes and their weights; the canonical text of these."""
    return class_weights.read_text(text)


@_shown_as("integer[,...]")
def integers(text):
    """Different integers of at least 0, separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    found = tuple(int(part) for part in parts if part.isdecimal())
    if not found or len(set(found)) != len(parts):
        raise ValueError(f"{text!r} is not a list of different integers such as 0,1,2")
    return found
