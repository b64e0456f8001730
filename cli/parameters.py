"""Types of options: what is written on the command line, and what it must be."""

import pathlib

import click

from keras_logitkd import features
from keras_logitkd.losses import registry


class ModelName(click.ParamType):
    """A name of the zoo."""

    name = "model"

    def convert(self, value, param, ctx):
        from keras_logitkd import zoo

        try:
            zoo.parse_name(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class Teachers(click.ParamType):
    """Zoo names and .keras files, separated by commas."""

    name = "name|file[,...]"

    def convert(self, value, param, ctx):
        for part in value.split(","):
            part = part.strip()
            if part.endswith((".keras", ".h5")) or "/" in part:
                if not pathlib.Path(part).is_file():
                    self.fail(f"there is no file {part!r}", param, ctx)
            else:
                ModelName().convert(part, param, ctx)
        return value


class OneTeacher(Teachers):
    """A name of the zoo or a .keras file."""

    name = "name|file"

    def convert(self, value, param, ctx):
        if "," in value:
            self.fail(f"{value!r} must be one model", param, ctx)
        return super().convert(value, param, ctx)


class Objective(click.ParamType):
    """A logit loss, feature methods, or both, or sequential."""

    name = "objective"

    def convert(self, value, param, ctx):
        if value == "sequential":
            return value
        try:
            objective = features.Objective.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        is_softened = objective.argument is not None and objective.temperature is not None
        if is_softened or (objective.stages and not objective.methods):
            names = ", ".join(registry.LOSSES)
            self.fail(
                f"{value!r} is not {names} or sequential. Their options are --tau and --stages",
                param,
                ctx,
            )
        return value


class Losses(click.ParamType):
    """Different names of objectives, separated by commas; whether they exist is seen later."""

    name = "loss[,...]"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        parts = features.split_list(value)
        if not all(parts) or len(set(parts)) != len(parts):
            self.fail(f"{value!r} is not a list of different losses such as ce,kl:3", param, ctx)
        return parts


class ThreeNames(click.ParamType):
    """Three different names or numbers, separated by commas; whether they exist is seen later."""

    name = "class,class,class"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts) or len(set(parts)) != 3 or len(parts) != 3:
            self.fail(f"{value!r} is not a list of three classes such as 0,1,2", param, ctx)
        return parts


class DeviceNames(click.ParamType):
    """Devices that share a batch."""

    name = "devices"

    def convert(self, value, param, ctx):
        from keras_logitkd.processes import cluster

        try:
            cluster.check_devices(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class Temperature(click.ParamType):
    """A number in [0, inf]."""

    name = "float"

    def convert(self, value, param, ctx):
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not number >= 0:
            self.fail(f"{value!r} is not a number in [0, inf]", param, ctx)
        return abs(number)  # of -0


class Share(click.FloatRange):
    """A number in [0, 1]; unlike click's range, no nan."""

    def __init__(self):
        super().__init__(0, 1)

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return number


class Numbers(click.ParamType):
    """Numbers separated by commas."""

    name = "float[,...]"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0.5,0.75", param, ctx)


class Integers(click.ParamType):
    """Different integers of at least 0, separated by commas."""

    name = "integer[,...]"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        numbers = tuple(int(part) for part in parts if part.isdecimal())
        if not numbers or len(set(numbers)) != len(parts):
            self.fail(f"{value!r} is not a list of different integers such as 0,1,2", param, ctx)
        return numbers
