"""`logitkd analyze`: pictures and measures of runs that one teacher taught."""

import pathlib

import click

from keras_logitkd.cli import options, parameters, quiet, tables


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    help="Examples that are looked at; train: those trained on, without augmentation.",
)
@click.option(
    "--classes",
    type=parameters.three_names,
    help="Three classes of the projection, by name or number. [default: the first three]",
)
@click.option(
    "--baseline",
    metavar="RUN",
    help="Where the gain of each class is counted from. [default: the runs on hard labels]",
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer that the pre-logits enter. [default: each network's last dense layer]",
)
@options.data_dir_option
@options.folder(
    "--output",
    "Directory of the pictures and of measures.csv.",
    default=str(pathlib.Path("results") / "analysis"),
)
@options.runs_option
@options.output_options
def analyze(runs, split, classes, baseline, layer, data_dir, output, runs_dir, as_json):
    """Draw what distillation did: logits, pre-logits, calibration, curves and classes.

    RUN is the name of a run or the path of its directory. All runs must be of one teacher; runs on
    hard labels may stand beside them. A picture shows one seed of each objective, the table all.
    """
    quiet.load_tensorflow()
    from keras_logitkd.analysis import analysis as analyses
    from keras_logitkd.analysis import picture
    from keras_logitkd.analysis.finished_run import open_run
    from keras_logitkd.analysis.selection import class_numbers

    opened, dataset = [], None
    for name in (*runs, *([baseline] if baseline else [])):
        opened.append(open_run(name, runs_dir, data_dir, dataset))
        dataset = opened[-1].dataset
    numbers = classes and class_numbers(classes, dataset.class_names)
    analysis = analyses.analyze(
        opened, split, numbers, baseline=opened[-1] if baseline else None, layer=layer
    )
    files = {what: str(path) for what, path in picture.write(analysis, output).items()}
    summary = analyses.summarize(analysis)
    if as_json:
        measures = analysis.table().astype(object)
        tables.print_json(
            {
                "dataset": analysis.dataset,
                "split": split,
                "examples": analysis.examples,
                "networks": measures.where(measures.notna(), None).to_dict("records"),
                "files": files,
            }
        )
        return
    tables.print_table(
        ("network", "n", "accuracy", "shift of the logit sum", "logit distance", "pre-logit norm"),
        [_texts(row) for row in summary.to_dict("records")],
        title=f"{analysis.dataset}, {analysis.examples:,} {split} examples; n seeds",
    )
    for what, path in files.items():
        click.echo(f"{what}: {path}")


def _texts(row):
    names = ("logit_sum_shift", "logit_distance", "pre_logit_norm")
    measured = [tables.spread(row[f"{name}_mean"], row[f"{name}_std"]) for name in names]
    accuracy = tables.spread(100 * row["accuracy_mean"], 100 * row["accuracy_std"])
    return (row["label"], str(row["n"]), accuracy, *measured)
