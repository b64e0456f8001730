"""`logitkd export`: a trained network in a file of another runtime, and what that is worth."""

import click

from keras_logitkd.cli import options, quiet, tables
from keras_logitkd.deploy import formats


@click.command()
@click.argument("run")
@click.option(
    "--format",
    "format_name",
    type=click.Choice([each.name for each in formats.FORMATS]),
    default="litert",
    help="Of the file.",
)
@click.option(
    "--quantize",
    type=click.Choice(formats.QUANTIZATIONS),
    default="none",
    help="float16, dynamic: weights; int8: weights and activations.",
)
@click.option("--softmax", is_flag=True, help="Return probabilities instead of logits.")
@click.option(
    "--input",
    "input_type",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    help="Type of the pixels that it takes.",
)
@options.count("--seed", "Of the images that int8 is calibrated on.", least=0, default=0)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    help="Exit with 1 if accuracy falls by more than so many points.",
)
@options.folder("--output", "Where to write. [default: in the run's directory]")
@options.data_dir_option
@options.runs_option
@options.output_options
@click.pass_context
def export(context, run, format_name, output, max_drop, data_dir, runs_dir, as_json, **given):
    """Export the network of RUN, run the file on the test images, and say what it is worth.

    The folder has the file, labels.txt, model.json, measures.json and predict.py, a program that
    needs NumPy and the format's runtime only.
    """
    formats.find(format_name, given["quantize"]).load()
    quiet.load_tensorflow()
    from keras_logitkd.deploy.of_runs import export_run

    done = export_run(run, output, format_name, runs_dir=runs_dir, data_dir=data_dir, **given)
    drop = 100 * (done.before["accuracy"] - done.measures["accuracy"])
    if as_json:
        measures = {"keras": done.before, **done.measures, "drop": drop}
        tables.print_json({"folder": str(done.folder), "file": str(done.file), **measures})
    else:
        _print(done, f"{format_name} {given['quantize']}")
    if max_drop is not None and drop > max_drop:
        click.echo(
            f"logitkd: accuracy falls by {drop:.2f} points, more than --max-drop {max_drop:g}",
            err=True,
        )
        context.exit(1)


def _print(done, name):
    names = ("file", "kB", "accuracy", "agreement", "teacher", "difference", "median ms", "p95 ms")
    found = done.measures
    rows = [
        ("keras", _kilobytes(done.before), tables.percent(done.before["accuracy"]), *["-"] * 5),
        (
            name,
            _kilobytes(found),
            tables.percent(found["accuracy"]),
            tables.percent(found["agreement"]),
            tables.percent(found.get("teacher_agreement")),
            f"{found['largest_difference']:.2g}",
            f"{found['median_ms']:.2f}",
            f"{found['p95_ms']:.2f}",
        ),
    ]
    tables.print_table(names, rows)
    click.echo(f"Written to {done.folder}; milliseconds of one image on one thread")


def _kilobytes(numbers):
    return f"{numbers['bytes'] / 1000:,.1f}"
