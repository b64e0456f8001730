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
    return {
        flag[2:]: parameter
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--") and parameter.name != "config"
    }


def _read(path, known):
    """Returns a default map: values by the names of parameters."""
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _refusal(f"{path} is no JSON: {error}") from error
    content = content if isinstance(content, dict) else {}
    for name in content:
        _check_name(path, "key", name, _PARTS)
    given = content.get("options")
    if not isinstance(given, dict):
        raise _refusal(f'{path} must be a JSON object with an object "options"')
    defaults = {}
    for name, value in given.items():
        _check_name(path, "option", name, known)
        if value is not None:
            defaults[known[name].name] = _value(path, name, known[name], value)
    return defaults


def _check_name(path, kind, name, known):
    if name not in known:
        (nearest,) = difflib.get_close_matches(name.replace("_", "-"), known, n=1, cutoff=0)
        raise _refusal(f"{path} has the unknown {kind} {name!r}. The nearest is {nearest!r}")


def _refusal(message):
    return click.BadParameter(message, param_hint="--config")


def _value(path, name, option, value):
    """A value as the command line would have it: text, but for flags."""
    is_flag = isinstance(value, bool)
    parts = value if isinstance(value, list) else [value]
    plain = all(isinstance(part, str | int | float) for part in parts)
    if is_flag != option.is_flag or not plain or (is_flag and isinstance(value, list)):
        kind = "true or false" if option.is_flag else "a number, a text or a list of them"
        raise _refusal(f"{path}: {name!r} must be {kind}. Received: {json.dumps(value)}")
    return value if is_flag else ",".join(map(str, parts))
