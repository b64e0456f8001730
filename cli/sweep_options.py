"""Options of the commands that run many cells."""

import click

from keras_logitkd.cli import options, parameters


def sweep_options(default_seeds):
    """Returns the decorator that adds `--seeds`, `--jobs`, `--output` and what cells need."""

    def decorate(command):
        for option in (
            options.output_options,
            options.recipe_options,
            options.runs_option,
            options.device_options,
            options.cache_options,
            click.option(
                "--output",
                type=click.Path(file_okay=False),
                help="Directory of table.csv, report.md and figure.png. [default: below results/]",
            ),
            click.option(
                "--jobs",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                help="Cells that run at the same time, each in a process with its share of cores.",
            ),
            click.option(
                "--seeds",
                type=parameters.Integers(),
                default=default_seeds,
                show_default=default_seeds is not None,
                help="Seeds of the students.",
            ),
        ):
            command = option(command)
        return command

    return decorate
