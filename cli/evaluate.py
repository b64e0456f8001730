"""`logitkd evaluate`: a trained model on a dataset."""

import click

from keras_logitkd.cli import imbalance, options, quiet, tables
from keras_logitkd.data import specs


@click.command()
@click.argument("file_or_run")
@click.option(
    "--dataset",
    metavar="SPEC",
    help=f"{specs.KNOWN}. [default: the run's; digits for a file]",
)
@options.data_dir_option
@click.option(
    "--teacher",
    help="A .keras file or run to measure the agreement with. [default: the run's]",
)
@click.option("--split", type=click.Choice(["test", "train"]), default="test")
@options.runs_option
@options.output_options
def evaluate(file_or_run, dataset, data_dir, teacher, split, runs_dir, as_json):
    """Print accuracy, loss, calibration error and agreement of a model file or a run.

    A run, or the network's file inside it, knows its data, its recipe and its teachers.
    """
    quiet.load_tensorflow()
    from keras_logitkd.analysis import evaluated

    result, notes = evaluated.evaluate(file_or_run, runs_dir, dataset, data_dir, teacher, split)
    for note in notes:
        click.echo(note, err=True)
    if as_json:
        tables.print_json(result)
        return
    tables.print_table(tuple(_COLUMNS), [tuple(show(result) for show in _COLUMNS.values())])
    for line in imbalance.lines_of("the model", result):
        click.echo(line)


# The title of a column, and what of the result stands in it.
_COLUMNS = {
    "model": lambda result: result["model"],
    "dataset": lambda result: result["dataset"],
    "split": lambda result: result["split"],
    "examples": lambda result: tables.integer(result["examples"]),
    "accuracy": lambda result: tables.percent(result["accuracy"]),
    "balanced": lambda result: tables.percent(result["balanced_accuracy"]),
    "loss": lambda result: f"{result['loss']:.4f}",
    "ECE": lambda result: f"{result['ece']:.4f}",
    "agreement": lambda result: tables.percent(result.get("agreement")),
}
