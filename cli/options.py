"""Options that several commands share; each means the same everywhere.

A default is shown in the help of every option that has one, see `main.logitkd`.
"""

import dataclasses
import types
import typing

import click

from keras_logitkd.cli import parameters
from keras_logitkd.data import specs
from keras_logitkd.runs.spec.recipes import Recipe


def together(*options):
    """Returns a decorator that adds options, or groups of them, in the order of the help."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def count(flag, text, least=1, **attributes):
    """Returns the option that is an integer of at least `least`; `text` is its help."""
    return click.option(flag, type=click.IntRange(least), help=text, **attributes)


def folder(flag, text, **attributes):
    """Returns the option that is the path of a directory, which may not exist yet."""
    return click.option(flag, type=click.Path(file_okay=False), help=text, **attributes)


def recipe_fields(given):
    """Returns those of a command's options that are the recipe's and that were given, a dict."""
    names = [field.name for field in _RECIPE]
    return {name: given[name] for name in names if given.get(name) is not None}


def _recipe_option(field):
    name, text = field.name.replace("_", "-"), field.metadata["help"]
    kind = _plain_type(typing.get_type_hints(Recipe)[field.name])
    if kind is bool:
        return click.option(f"--{name}/--no-{name}", field.name, default=None, help=text)
    kind = _KINDS.get(field.name, parameters.numbers if kind is tuple else kind)
    return click.option(f"--{name}", field.name, type=kind, help=text)


_KINDS = {"class_weight": parameters.class_weight}


def _plain_type(hint):
    """int, float, bool or tuple out of an annotation such as `tuple[float, ...] | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint


_RECIPE = [field for field in dataclasses.fields(Recipe) if field.name != "teacher"]
# What is not given stays as the recipe of the dataset has it.
recipe_options = together(*map(_recipe_option, _RECIPE))
teacher_epochs_option = count(
    "--teacher-epochs",
    "Epochs of a teacher by name. [default: the recipe's, whatever --epochs is]",
)
model_help = "zoo name, keras:NAME, FILE.keras or FILE.py:FUNCTION, see docs/models.md"
distillation_options = together(
    click.option(
        "--student", required=True, type=parameters.model_name, help=f"A network: {model_help}."
    ),
    count("--student-size", "Side of the student's images in pixels. [default: the views']"),
    click.option(
        "--teacher",
        type=parameters.teachers,
        help="As --student: trained once by the recipe and then reused; but FILE.keras teaches as "
        "it is. Several are averaged. [default: the recipe's]",
    ),
    count("--teacher-size", "Side of the images of teachers by name. [default: the views']"),
    teacher_epochs_option,
)
data_dir_option = folder("--data-dir", "Where TFDS datasets are kept.")
data_options = together(
    click.option(
        "--dataset",
        default="digits",
        metavar="SPEC",
        help=f"{specs.KNOWN}.",
    ),
    click.option(
        "--skip-unreadable",
        is_flag=True,
        help="Leave out image files that cannot be read, which are refused otherwise.",
    ),
    data_dir_option,
)
output_options = together(
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    # main() looks for --debug itself, because errors may come before a command is reached.
    click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
)
runs_option = folder("--runs-dir", "Where runs are kept.", default="runs")
cache_dir_option = folder(
    "--cache-dir", "Where teachers' logits are stored. [default: .logits in the runs directory]"
)
cache_options = together(
    cache_dir_option,
    click.option(
        "--cache-limit",
        type=click.FloatRange(min=0),
        default=20.0,
        help="GB that all stored logits may take.",
    ),
    click.option(
        "--logit-dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        help="Number format of stored logits.",
    ),
    click.option("--no-cache", is_flag=True, help="Run the teacher in every step instead."),
)
views_option = count(
    "--views", "Views of each image: epoch e uses view e mod V. [default: one per epoch]"
)
device_options = together(
    click.option(
        "--devices",
        type=parameters.device_names,
        default="auto",
        help="auto (one), cpu, cpu:N (the CPU as N devices), gpu (all) or gpu:I,J: what shares "
        "each batch.",
    ),
    click.option(
        "--sync-batch-norm",
        is_flag=True,
        help="Normalize batches over all devices together instead of on each by itself.",
    ),
)
workers_option = count(
    "--workers",
    "Processes of this machine that train together, for trying it; TF_CONFIG names several "
    "machines.",
    default=1,
)
# What every command that trains has: data, seed, directory, and each field of the recipe.
run_options = together(
    data_options,
    count("--seed", "Seed of the initial weights and the order.", least=0, default=0),
    views_option,
    device_options,
    runs_option,
    click.option("--name", help="Name of the run directory. [default: made from the settings]"),
    count(
        "--checkpoint-steps",
        "Checkpoint after so many steps, too, not only after epochs. [default: when ten minutes "
        "have passed]",
    ),
    click.option("--resume", is_flag=True, help="Continue an unfinished run."),
    recipe_options,
    output_options,
)


def sweep_options(default_seeds):
    """Returns what the commands that run many cells have, `--seeds` with this default."""
    return together(
        click.option(
            "--seeds",
            type=parameters.integers,
            default=default_seeds,
            help="Seeds of the students.",
        ),
        count(
            "--jobs",
            "Cells that run at the same time, each in a process with its share of cores.",
            default=1,
        ),
        folder(
            "--output",
            "Directory of table.csv, report.md and figure.png. [default: below results/]",
        ),
        cache_options,
        device_options,
        runs_option,
        recipe_options,
        output_options,
    )
