"""`logitkd predict`: what a trained network says of pictures."""

import click
import numpy as np

from keras_logitkd.cli import options, quiet, tables


@click.command()
@click.argument("file_or_run")
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True))
@options.count("--top", "How many classes to name, the likeliest first.", default=1)
@options.runs_option
@options.output_options
@click.pass_context
def predict(context, file_or_run, pictures, top, runs_dir, as_json):
    """Name the classes of pictures, with their probabilities; folders are walked.

    Pictures are prepared as model.json beside the network says. Those that cannot be read are
    listed, and the exit code is then 1.
    """
    quiet.load_tensorflow()
    from keras_logitkd.runs import prediction

    files = prediction.pictures_in(pictures)
    network, description = prediction.open_model(file_or_run, runs_dir)
    found, unreadable = [], []
    for file, said in prediction.predict(network, description, files):
        if isinstance(said, ValueError):
            unreadable.append({"picture": str(file), "reason": str(said)})
        else:
            found.append({"picture": str(file), "classes": _likeliest(said, description, top)})
    _report(found, unreadable, as_json)
    context.exit(1 if unreadable else 0)


def _likeliest(said, description, top):
    """The likeliest classes of a picture, as JSON has them."""
    numbers = np.argsort(-said, kind="stable")[:top]
    return [
        {"class": description.class_names[number], "probability": float(said[number])}
        for number in numbers
    ]


def _report(found, unreadable, as_json):
    if as_json:
        tables.print_json({"pictures": found, "unreadable": unreadable})
        return
    if found:
        rows = []
        for row in found:
            for rank, each in enumerate(row["classes"]):
                name = "" if rank else row["picture"]
                rows.append((name, each["class"], tables.percent(each["probability"])))
        tables.print_table(("picture", "class", "probability"), rows)
    for row in unreadable:
        click.echo(row["reason"], err=True)
    if unreadable:
        count = len(found) + len(unreadable)
        click.echo(f"{len(unreadable)} of {count} pictures could not be read", err=True)
