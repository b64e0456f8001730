"""Options that several commands share; each means the same everywhere.

A default is shown in the help of every option that has one, see `main.logitkd`.
"""

import click

from keras_logitkd.cli import parameters, recipe_options
from keras_logitkd.cli.grouping import (
    DATA,
    DEVICES,
    LOGITS,
    OUTPUT,
    RUN,
    WHAT,
    Option,
    RecipeOption,
)
from keras_logitkd.data import specs

recipe_fields = recipe_options.given_fields


def together(*options):
    """Returns a decorator that adds options, or groups of them, in the order of the help."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def option(*flags, group=OUTPUT, **attributes):
    """Returns the option of `click.option` that stands in a group of the help, see `grouping`."""
    return click.option(*flags, cls=Option, group=group, **attributes)


def count(flag, text, least=1, **attributes):
    """Returns the option that is an integer of at least `least`; `text` is its help."""
    return option(flag, type=click.IntRange(least), help=text, **attributes)


def folder(flag, text, **attributes):
    """Returns the option that is the path of a directory, which may not exist yet."""
    return option(flag, type=click.Path(file_okay=False), help=text, **attributes)


teacher_epochs_option = count(
    "--teacher-epochs", "Epochs of a teacher by name. [default: its recipe's]", group=WHAT
)
model_help = "zoo name, keras:NAME, FILE.keras, ... (docs/models.md)"
distillation_options = together(
    option(
        "--student",
        required=True,
        type=parameters.model_name,
        group=WHAT,
        help=f"The network: {model_help}.",
    ),
    count("--student-size", "Side of its images in pixels. [default: the views']", group=WHAT),
    click.option(
        "--teacher",
        cls=RecipeOption,
        type=parameters.teachers,
        group=WHAT,
        help="As --student, trained once and reused; FILE.keras teaches as it is. Several are "
        "averaged. [default: the recipe's]",
    ),
    count("--teacher-size", "As --student-size, of teachers by name.", group=WHAT),
    teacher_epochs_option,
)
data_dir_option = folder("--data-dir", "Where TFDS datasets are kept.", group=DATA)
dataset_option = option(
    "--dataset",
    default="digits",
    metavar="SPEC",
    group=DATA,
    help=f"{specs.KNOWN}.",
)
data_options = together(
    dataset_option,
    option(
        "--skip-unreadable", is_flag=True, group=DATA, help="Leave out files that cannot be read."
    ),
    data_dir_option,
)
output_options = together(
    option("--json", "as_json", is_flag=True, help="Print JSON."),
    # main() looks for --debug itself, because errors may come before a command is reached.
    option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
)
runs_option = folder("--runs-dir", "Where runs are kept.", default="runs", group=RUN)
cache_dir_option = folder(
    "--cache-dir", "Place of stored logits. [default: RUNS_DIR/.logits]", group=LOGITS
)
cache_options = together(
    cache_dir_option,
    option(
        "--cache-limit",
        type=click.FloatRange(min=0),
        default=20.0,
        metavar="GB",
        group=LOGITS,
        help="Limit of all stored logits.",
    ),
    option(
        "--logit-dtype",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        metavar="DTYPE",
        group=LOGITS,
        help="Stored as float32 or float16.",
    ),
    option("--no-cache", is_flag=True, group=LOGITS, help="Run the teacher in every step instead."),
)
views_option = count(
    "--views",
    "Views of an image, in turn. [default: one per epoch]",
    group=DATA,
)
device_options = together(
    option(
        "--devices",
        type=parameters.device_names,
        default="auto",
        group=DEVICES,
        help="What shares each batch: auto (one), cpu, cpu:N, gpu (all) or gpu:I,J.",
    ),
    option(
        "--sync-batch-norm",
        is_flag=True,
        group=DEVICES,
        help="Normalize batches over all devices together.",
    ),
)
workers_option = count(
    "--workers",
    "Processes of this machine that train together; for several machines see docs/distributed.md.",
    default=1,
    group=DEVICES,
)
recipe_field_options = together(*recipe_options.field_options(), recipe_options.set_option())
# What every command that trains has: data, seed, directory, and each field of the recipe.
run_options = together(
    data_options,
    views_option,
    recipe_field_options,
    count("--seed", "Seed of initial weights and order.", least=0, default=0, group=RUN),
    runs_option,
    option("--name", group=RUN, help="Run directory's name. [default: by the settings]"),
    count(
        "--checkpoint-steps",
        "Checkpoint after N steps, too. [default: 10 min]",
        group=RUN,
    ),
    option("--resume", is_flag=True, group=RUN, help="Continue an unfinished run."),
    device_options,
    output_options,
)


def sweep_options(default_seeds):
    """Returns what the commands that run many cells have, `--seeds` with this default."""
    return together(
        recipe_field_options,
        cache_options,
        option(
            "--seeds",
            type=parameters.integers,
            default=default_seeds,
            group=RUN,
            help="Seeds of the students.",
        ),
        count("--jobs", "Cells at the same time, which share the cores.", default=1, group=RUN),
        runs_option,
        device_options,
        folder("--output", "Of table.csv, report.md and figure.png. [default: in results/]"),
        output_options,
    )
