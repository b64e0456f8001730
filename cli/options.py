"""Options that several commands share; each means the same everywhere."""

import dataclasses
import types
import typing

import click

from keras_logitkd.cli import parameters
from keras_logitkd.runs.spec.recipes import Recipe


def distillation_options(command):
    """`--student`, `--teacher` and `--teacher-epochs`."""
    for decorate in (
        click.option(
            "--teacher-epochs",
            type=click.IntRange(min=1),
            help="Epochs of a teacher by name. [default: the recipe's, whatever --epochs is]",
        ),
        click.option(
            "--teacher",
            type=parameters.Teachers(),
            help="Zoo name, trained once by the recipe and then reused, or a .keras file that "
            "takes raw pixels and returns logits; several are averaged. [default: the recipe's]",
        ),
        click.option("--student", required=True, type=parameters.ModelName(), help="Zoo name."),
    ):
        command = decorate(command)
    return command


def data_options(command):
    """`--dataset` and `--data-dir`."""
    command = click.option(
        "--data-dir", type=click.Path(file_okay=False), help="Where TFDS datasets are kept."
    )(command)
    return click.option(
        "--dataset",
        default="digits",
        show_default=True,
        metavar="SPEC",
        help="digits, a TFDS name, folder:PATH or npz:PATH.",
    )(command)


def output_options(command):
    """`--json` and `--debug`."""
    # main() looks for --debug itself, because errors may come before a command is reached.
    command = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")(
        command
    )
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def runs_option(command):
    """`--runs-dir`."""
    return click.option(
        "--runs-dir",
        type=click.Path(file_okay=False),
        default="runs",
        show_default=True,
        help="Where runs are kept.",
    )(command)


def cache_options(command):
    """Where teachers' logits are stored, and how."""
    for decorate in (
        click.option("--no-cache", is_flag=True, help="Run the teacher in every step instead."),
        click.option(
            "--logit-dtype",
            type=click.Choice(["float32", "float16"]),
            default="float32",
            show_default=True,
            help="Number format of stored logits.",
        ),
        click.option(
            "--cache-limit",
            type=click.FloatRange(min=0),
            default=20.0,
            show_default=True,
            help="GB that all stored logits may take.",
        ),
        cache_dir_option,
    ):
        command = decorate(command)
    return command


def cache_dir_option(command):
    """`--cache-dir`."""
    return click.option(
        "--cache-dir",
        type=click.Path(file_okay=False),
        help="Where teachers' logits are stored. [default: .logits in the runs directory]",
    )(command)


def views_option(command):
    """`--views`."""
    return click.option(
        "--views",
        type=click.IntRange(min=1),
        help="Views of each image: epoch e uses view e mod V. [default: one per epoch]",
    )(command)


def device_options(command):
    """`--devices` and `--sync-batch-norm`."""
    command = click.option(
        "--sync-batch-norm",
        is_flag=True,
        help="Normalize batches over all devices together instead of on each by itself.",
    )(command)
    return click.option(
        "--devices",
        type=parameters.DeviceNames(),
        default="auto",
        show_default=True,
        help="auto (one), cpu, cpu:N (the CPU as N devices), gpu (all) or gpu:I,J: what shares "
        "each batch.",
    )(command)


def workers_option(command):
    """`--workers`."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Processes of this machine that train together, for trying it; TF_CONFIG names "
        "several machines.",
    )(command)


def run_options(command):
    """What every command that trains has: data, seed, directory, and each field of the recipe."""
    for decorate in (
        output_options,
        recipe_options,
        click.option("--resume", is_flag=True, help="Continue an unfinished run."),
        click.option(
            "--checkpoint-steps",
            type=click.IntRange(min=1),
            help="Checkpoint after so many steps, too, not only after epochs. [default: when ten "
            "minutes have passed]",
        ),
        click.option("--name", help="Name of the run directory. [default: made from the settings]"),
        runs_option,
        device_options,
        views_option,
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Seed of the initial weights and the order.",
        ),
        data_options,
    ):
        command = decorate(command)
    return command


def recipe_options(command):
    """An option for each field of a Recipe; what is not given stays as the recipe has it."""
    hints = typing.get_type_hints(Recipe)
    for field in reversed(dataclasses.fields(Recipe)):
        if field.name == "teacher":
            continue
        flag, text = field.name.replace("_", "-"), field.metadata["help"]
        kind = _plain_type(hints[field.name])
        if kind is bool:
            option = click.option(f"--{flag}/--no-{flag}", field.name, default=None, help=text)
        else:
            option = click.option(
                f"--{flag}",
                field.name,
                type=parameters.Numbers() if kind is tuple else kind,
                help=text,
            )
        command = option(command)
    return command


def recipe_fields(given):
    """Returns those of a command's options that are the recipe's and that were given, a dict."""
    names = [field.name for field in dataclasses.fields(Recipe) if field.name != "teacher"]
    return {name: given[name] for name in names if given.get(name) is not None}


def _plain_type(hint):
    """int, float, bool or tuple out of an annotation such as `tuple[float, ...] | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint
