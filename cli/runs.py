"""`logitkd runs`: what was trained."""

import click

from keras_logitkd.cli import options, tables
from keras_logitkd.data.noise import LabelNoise


@click.command()
@options.runs_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@options.output_options
def runs(runs_dir, as_csv, as_json):
    """List the runs in the runs directory with their final numbers."""
    import pandas as pd

    from keras_logitkd.runs.directory.run_directory import list_runs

    table = pd.DataFrame([_row(*run) for run in list_runs(runs_dir)], columns=_COLUMNS)
    if as_json:
        click.echo(table.to_json(orient="records", indent=2))
    elif as_csv:
        click.echo(table.to_csv(index=False), nl=False)
    elif table.empty:
        click.echo(f"No runs in {runs_dir}.")
    else:
        tables.print_table(_COLUMNS, [tuple(map(_cell, row)) for row in table.to_numpy()])


_COLUMNS = (
    "run",
    "kind",
    "dataset",
    "model",
    "loss",
    "alpha",
    "noise",
    "seed",
    "epochs",
    "test_accuracy",
    "seconds",
    "state",
)


def _row(name, config, result):
    finished = result is not None
    try:
        return (
            name,
            config["kind"],
            config["dataset"],
            config["model"],
            config["loss"] or "ce",
            config["alpha"],
            LabelNoise.from_config(noise).label if (noise := config.get("noise")) else None,
            config["seed"],
            config["recipe"]["epochs"],
            result["test_accuracy"] if finished else None,
            result["seconds"] if finished else None,
            "finished" if finished else "unfinished",
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # None, or not what a run writes
        return (name, *[None] * (len(_COLUMNS) - 2), "damaged")


def _cell(value):
    if value is None or value != value:  # pandas turns None among numbers into nan.
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
