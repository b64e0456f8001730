"""Help of commands with many options: groups, one after the other, and short names of values."""

import re

import click

# The groups, in the order of the help. An option says its own by `group=`.
WHAT, TRAINED = "What is distilled", "What is trained"
SEARCH, DATA, RECIPE = "Search", "Data", "Recipe"
LOGITS, RUN, DEVICES, OUTPUT = "Teacher's logits", "Run", "Devices", "Output"
GROUPS = (WHAT, TRAINED, SEARCH, DATA, RECIPE, LOGITS, RUN, DEVICES, OUTPUT)

_COLUMN = 24  # width of the names; longer ones have a line of their own
_METAVARS = {
    **{"integer": "N", "float": "X", "directory": "DIR", "file": "FILE", "text": "TEXT"},
    "balanced|FILE": "balanced|FILE",
}
_OWN_DEFAULT = re.compile(r"\s*\[default: [^\]]*\]$")  # what a help text says of its default


class Option(click.Option):
    """An option that says in which group of the help it stands.

    Args:
        *arguments: as for `click.Option`.
        group: one of `GROUPS`. Defaults to `OUTPUT`, where the help ends.
        **attributes: as for `click.Option`.
    """

    def __init__(self, *arguments, group=OUTPUT, **attributes):
        super().__init__(*arguments, **attributes)
        self.group = group

    def make_metavar(self, ctx):
        kind = self.type.name.removesuffix(" range")
        return self.metavar or _METAVARS.get(kind) or super().make_metavar(ctx)

    def get_help_extra(self, ctx):
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)  # errors say it
        return extra


class RecipeOption(Option):
    """A field of the recipe, whose default is that of the dataset; arguments as for `Option`."""

    def __init__(self, *arguments, group=RECIPE, **attributes):
        super().__init__(*arguments, group=group, **attributes)

    def get_help_record(self, ctx):
        """The option and its help, with the default that the recipe of the dataset has."""
        default = getattr(recipe_of(dataset_of(ctx)), self.name, None)
        kept, said = self.help, _default_text(default)
        if said is not None:
            self.help = f"{_OWN_DEFAULT.sub('', kept)} [default: {said}]"
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = kept


def _default_text(value):
    """A default as the command line has it; None where there is none to show."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else value


def dataset_of(context):
    """Returns the dataset that was typed, or the command's own default; None where it has none."""
    arguments = list(context.obj or ())
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = argument.partition("=")
        if name == "--dataset" and (equals or following):
            return value if equals else following
    defaults = (each.default for each in context.command.params if each.name == "dataset")
    return next((default for default in defaults if isinstance(default, str)), None)


def recipe_of(dataset):
    """Returns the recipe of a dataset that has a row of its own, else None. Loads no data."""
    from keras_logitkd.runs.spec.recipes import RECIPES

    return dataset and RECIPES.get(re.split("[/:]", dataset)[0])


def _title(group, context):
    if group != RECIPE:
        return group
    dataset = dataset_of(context)
    if recipe_of(dataset):
        return f"{group} (defaults of {dataset}; for others: --dataset SPEC --help)"
    has_plan = any(each.name == "dry_run" for each in context.command.params)
    return f"{group} (defaults: by the dataset{', see --dry-run' * has_plan})"


class _Grouped:
    """A command whose help has a section for each group of its options."""

    def parse_args(self, ctx, args):
        """Reads the options, and lets those that stand for others (`settle`) set them."""
        rest = super().parse_args(ctx, args)
        for parameter in self.get_params(ctx):
            if settle := getattr(parameter, "settle", None):
                settle(ctx)
        return rest

    def format_options(self, ctx, formatter):
        rows = {group: [] for group in GROUPS}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)):
                rows[getattr(parameter, "group", OUTPUT)].append(row)
        width = max(len(name) for group in rows.values() for name, _ in group)
        width = min(width, _COLUMN)
        for group, found in rows.items():
            if found:
                with formatter.section(_title(group, ctx)):
                    lines = [(name.ljust(width), text.replace("  [", " [")) for name, text in found]
                    formatter.write_dl(lines, col_max=width)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class Command(_Grouped, click.Command):
    """A command with groups of options."""


class Group(_Grouped, click.Group):
    """A command with groups of options and commands below it."""
