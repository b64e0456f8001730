"""`--config FILE`: options of a command from JSON, YAML, or the config.json of a run."""

import difflib
import json
import pathlib
import re

import click
from click.core import ParameterSource

from keras_logitkd.cli import options, run_config
from keras_logitkd.cli.grouping import RUN

_PARTS = ("options", "search")  # what a file may have; `search` says where the options are from
_YAML = (".yaml", ".yml")
_PLAIN = str | int | float  # what the values of options are
_KEY = f"{__name__}.path"


def config_option(command):
    """`--config`: what it holds takes the place of defaults; the command line wins."""
    return options.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_use,
        group=RUN,
        help="Options from JSON or YAML: tune's best.json, a run's config.json, your own.",
    )(command)


def _use(context, parameter, path):
    if path is None:
        return
    context.meta[_KEY] = path
    content = _load(path)
    if run_config.is_one(content):
        try:
            given = run_config.options_of(content, path, context.command.name)
        except ValueError as error:
            raise _refusal(f"{path}: {error}") from error
        run_config.remember(context, content, path)
    else:
        given = _options_in(path, content)
    context.default_map = _defaults(path, given, _by_long_name(context.command))


def place_of(error):
    """Returns ` (FILE, line N)` where a click.UsageError is about a value of the file, or ""."""
    context, option = error.ctx, getattr(error, "param", None)
    if (
        option is None
        or context.get_parameter_source(option.name) is not ParameterSource.DEFAULT_MAP
    ):
        return ""
    path = context.meta[_KEY]
    return f" ({path}{_line_of(path, option.opts[0][2:]).rstrip(',')})"


def _by_long_name(command):
    """The options of a command by their long names, without the dashes in front."""
    return {
        flag[2:]: parameter
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--") and parameter.name not in ("config", "set_fields")
    }


def _load(path):
    """What a file holds: by its name YAML, else JSON."""
    is_yaml = pathlib.Path(path).suffix.lower() in _YAML
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        return _read_yaml(text) if is_yaml else json.loads(text, object_pairs_hook=_without_twice)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"{path} is no {'YAML' if is_yaml else 'JSON'}: {error}") from error


def _read_yaml(text):
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if isinstance(node, yaml.MappingNode):
            _without_twice([(key.value, None) for key, _ in node.value])
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _without_twice(pairs):
    """A dict of pairs; ValueError where a name comes twice, of which one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found


def _options_in(path, content):
    """The options of a file, by name: the whole of it, or what it has under "options"."""
    if not isinstance(content, dict) or not isinstance(content.get("options", {}), dict):
        raise _refusal(
            f'{path} must hold options by their long names, or an object "options" of them'
        )
    if "options" not in content:
        return content
    for name in content:
        _check_name(path, "key", name, _PARTS)
    return content["options"]


def _defaults(path, given, known):
    """Returns a default map: values by the names of parameters."""
    defaults = {}
    for written, value in given.items():
        name = str(written).replace("_", "-")
        if name == "set":
            raise _refusal(f"{path}{_line_of(path, name)}: write the fields of 'set' by themselves")
        _check_name(path, "option", name, {**known, "options": None})
        if name not in known:
            raise _refusal(f'{path}: "options" stands alone, or with "search"')
        if value is not None:
            defaults[known[name].name] = _value(path, name, known[name], value)
    return defaults


def _check_name(path, kind, name, known):
    if name not in known:
        (nearest,) = difflib.get_close_matches(str(name), known, n=1, cutoff=0)
        line = _line_of(path, name)
        raise _refusal(f"{path}{line} has the unknown {kind} {name!r}. The nearest is {nearest!r}")


def _line_of(path, name):
    """`, line 3` where the name is first written before a colon, or nothing."""
    written = re.escape(str(name)).replace(r"\-", "[-_]")
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    places = [at for at, line in enumerate(lines, 1) if re.search(rf"\b{written}[\"']?\s*:", line)]
    return f", line {places[0]}," if places and len(lines) > 1 else ""


def _refusal(message):
    return click.BadParameter(message, param_hint="--config")


def _value(path, name, option, value):
    """A value as the command line would have it: text, but for flags."""
    is_flag = isinstance(value, bool)
    parts = value if isinstance(value, list) else [value]
    plain = all(isinstance(part, _PLAIN) for part in parts)
    if is_flag != option.is_flag or not plain or (is_flag and isinstance(value, list)):
        kind = "true or false" if option.is_flag else "a number, a text or a list of them"
        received = json.dumps(value, default=str)
        raise _refusal(
            f"{path}{_line_of(path, name)}: {name!r} must be {kind}. Received: {received}"
        )
    if option.multiple:
        return tuple(map(str, parts))
    return value if is_flag else ",".join(map(str, parts))
