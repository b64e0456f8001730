"""`--config FILE`: options of a command from the JSON object "options" in a file."""

import difflib
import json
import pathlib

import click

_PARTS = ("options", "search")  # what a file may have; `search` says where the options are from


def config_option(command):
    """`--config`: what it holds takes the place of defaults; the command line wins."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_use,
        help='JSON file whose "options" are options of this command, such as best.json of tune.',
    )(command)


def _use(context, parameter, path):
    if path is not None:
        context.default_map = _read(path, _by_long_name(context.command))


def _by_long_name(command):
    """The options of a command by their long names, without the dashes in front."""
    options = {}
    for parameter in command.params:
        for flag in parameter.opts:
            if flag.startswith("--") and parameter.name != "config":
                options[flag[2:]] = parameter
    return options


def _read(path, known):
    """Returns a default map: values by the names of parameters."""
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.BadParameter(f"{path} is no JSON: {error}", param_hint="--config") from error
    for name in content if isinstance(content, dict) else ():
        if name not in _PARTS:
            nearest = difflib.get_close_matches(name, _PARTS, n=1, cutoff=0)[0]
            raise click.BadParameter(
                f"{path} has the unknown key {name!r}. The nearest is {nearest!r}",
                param_hint="--config",
            )
    given = content.get("options") if isinstance(content, dict) else None
    if not isinstance(given, dict):
        raise click.BadParameter(
            f'{path} must be a JSON object with an object "options"', param_hint="--config"
        )
    defaults = {}
    for name, value in given.items():
        if name not in known:
            nearest = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0)
            raise click.BadParameter(
                f"{path} has the unknown option {name!r}. The nearest is {nearest[0]!r}",
                param_hint="--config",
            )
        if value is not None:
            defaults[known[name].name] = _value(path, name, known[name], value)
    return defaults


def _value(path, name, option, value):
    """A value as the command line would have it: text, but for flags."""
    is_flag = isinstance(value, bool)
    parts = value if isinstance(value, list) else [value]
    plain = all(isinstance(part, str | int | float) for part in parts)
    if is_flag != option.is_flag or not plain or (is_flag and isinstance(value, list)):
        kind = "true or false" if option.is_flag else "a number, a text or a list of them"
        raise click.BadParameter(
            f"{path}: {name!r} must be {kind}. Received: {json.dumps(value)}",
            param_hint="--config",
        )
    return value if is_flag else ",".join(map(str, parts))
