"""The fields of the recipe as options: the usual ones by name, all of them by `--set`."""

import dataclasses
import types
import typing

import click
from click.core import ParameterSource

from keras_logitkd.cli import parameters
from keras_logitkd.cli.grouping import RECIPE, Option, RecipeOption
from keras_logitkd.losses.grammar import hint
from keras_logitkd.runs.spec.recipes import Recipe

FIELDS = [field for field in dataclasses.fields(Recipe) if field.name != "teacher"]
# In the help by name; every other field is accepted by name, too, and shown nowhere but in docs.
IN_HELP = (
    *(
        "epochs",
        "batch_size",
        "learning_rate",
        "lr_drops",
        "weight_decay",
        "label_smoothing",
        "head_epochs",
    ),
    *("pad", "flip", "resized_crop", "validation", "examples", "class_weight"),
)
_RARE = ", ".join(field.name for field in FIELDS if field.name not in IN_HELP)
_KINDS = {"class_weight": parameters.class_weight}  # of a field that is no plain value
_ON = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def given_fields(given):
    """Returns those of a command's options that are the recipe's and that were given, a dict."""
    return {field.name: given[field.name] for field in FIELDS if given.get(field.name) is not None}


def field_options():
    """Returns the option of each field, in their order, a list of decorators."""
    return [_option(field) for field in FIELDS]


def set_option():
    """Returns `--set FIELD=VALUE`, which may be given several times."""
    return click.option(
        "--set",
        "set_fields",
        cls=_SetOption,
        multiple=True,
        type=_assignment,
        metavar="FIELD=VALUE",
        group=RECIPE,
        help=f"Any field, also {_RARE}.",
    )


def _option(field):
    name, text = field.name.replace("_", "-"), field.metadata["help"]
    kind, hidden = _kind_of(field), field.name not in IN_HELP
    flags = f"--{name}/--no-{name}" if kind is bool else f"--{name}"
    attributes = {"default": None} if kind is bool else {"type": kind}
    return click.option(flags, field.name, cls=RecipeOption, hidden=hidden, help=text, **attributes)


def _kind_of(field):
    """The type of a field's option: int, float, bool, str or a list of numbers."""
    hint_ = typing.get_type_hints(Recipe)[field.name]
    if isinstance(hint_, types.UnionType):  # such as `tuple[float, ...] | None`
        hint_ = next(part for part in typing.get_args(hint_) if part is not type(None))
    kind = typing.get_origin(hint_) or hint_
    return _KINDS.get(field.name, parameters.numbers if kind is tuple else kind)


@parameters.shown_as("field=value", lambda: [f"{field.name}=" for field in FIELDS])
def _assignment(text):
    """The name of a field and its value, read as the field's own option reads it."""
    name, equals, value = (part.strip() for part in text.partition("="))
    known = {field.name: field for field in FIELDS}
    field = known.get(name.replace("-", "_"))
    if field is None or not equals:
        near = hint(name.replace("-", "_"), known)
        raise ValueError(f"{text!r} must be FIELD=VALUE, the field one of {', '.join(known)}{near}")
    return field.name, _value(field, value)


def _value(field, text):
    kind = _kind_of(field)
    if kind is bool:
        if text.lower() not in _ON:
            raise ValueError(f"`{field.name}` must be true or false. Received: {text!r}")
        return _ON[text.lower()]
    try:
        return click.types.convert_type(kind).convert(text, None, None)
    except click.BadParameter as error:
        raise ValueError(f"`{field.name}`: {error.message}") from None


class _SetOption(Option):
    """`--set`: what it says becomes the value of the fields' own options."""

    def settle(self, context):
        """Moves the fields to their options; the command line wins over a config file.

        Raises:
            click.UsageError: If a field is given twice, with different values.
        """
        named = {}
        for name, value in context.params.pop(self.name) or ():
            is_typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            for other in (*([context.params[name]] if is_typed else []), named.get(name, value)):
                if other != value:
                    flag = name.replace("_", "-")
                    raise click.UsageError(
                        f"'--set {flag}' says {_shown(value)}, and {_shown(other)} is given, too. "
                        "Say it once"
                    )
            named[name] = value
        for name, value in named.items():
            context.params[name] = value
            context.set_parameter_source(name, ParameterSource.COMMANDLINE)


def _shown(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
