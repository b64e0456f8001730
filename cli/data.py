"""`logitkd data`: the datasets of this machine."""

import pathlib
import re

import click

from keras_logitkd.cli import options, quiet, tables
from keras_logitkd.data import specs
from keras_logitkd.data.parts import PARTS

_data_dir = options.folder(
    "--data-dir",
    "Directory of TFDS datasets.  [default: TFDS_DATA_DIR or ~/tensorflow_datasets]",
)


@click.group()
def data():
    """Look at datasets and import local ones."""


@data.command("list")
@_data_dir
@options.output_options
def list_datasets(data_dir, as_json):
    """List what is embedded, prepared in --data-dir, or known by name."""
    from keras_logitkd.data import catalog, listing

    root = str(pathlib.Path(data_dir).expanduser() if data_dir else listing.default_data_dir())
    digits = catalog.load("digits")
    counts = {"train": len(digits.train), "test": len(digits.test)}
    rows = [{"name": "digits", "where": "embedded", "splits": counts}]
    for entry in listing.prepared_datasets(data_dir):
        rows.append({"name": entry.name, "where": entry.directory, "splits": entry.splits})
    found = {row["name"].partition(":")[0] for row in rows}
    for name in catalog.WELL_KNOWN:
        if name not in found:
            rows.append({"name": name, "where": "TFDS, not on this machine", "splits": {}})
    if as_json:
        tables.print_json({"data_dir": root, "datasets": rows})
        return
    cells = []
    for row in rows:
        counts = ", ".join(f"{split} {count:,}" for split, count in row["splits"].items())
        where = "prepared" if row["where"].startswith(root) else row["where"]
        cells.append((row["name"], where, counts))
    tables.print_table(("dataset", "where", "examples"), cells)
    click.echo(f"Data directory: {root}")
    click.echo(
        "Any other TFDS image-classification name works, too, and folder:DIR, csv:FILE, npz:FILE."
    )


@data.command()
@click.argument("name")
@_data_dir
@click.option("--output", type=click.Path(dir_okay=False), help="PNG file of the contact sheet.")
@options.count("--rows", "Classes.", default=20)
@options.output_options
def show(name, data_dir, output, rows, as_json):
    """Show counts, shape and class balance of NAME, and draw a contact sheet.

    NAME is digits, a TFDS name, folder:DIR, csv:FILE or npz:FILE.
    """
    path = _sheet_path(name, output)
    _prepare(name)
    from keras_logitkd.data import catalog
    from keras_logitkd.data.contact_sheet import contact_sheet

    dataset = catalog.load(name, data_dir)
    try:
        contact_sheet(dataset.train, dataset.class_names, rows=rows).save(path)
    except OSError as error:
        message = f"cannot write {path} ({error})"
        raise click.BadParameter(message, param_hint="--output") from error
    summary = _summary(dataset) | {"contact_sheet": str(path)}
    if as_json:
        tables.print_json(summary)
    else:
        _print_summary(summary, rows)


@data.command()
@click.argument("name")
@_data_dir
@options.count("--rows", "Classes.", default=20)
@options.output_options
@click.pass_context
def check(context, name, data_dir, rows, as_json):
    """Decode every image of NAME and list what is odd; exit code 1 if some are unreadable.

    NAME is as for show. Told are unreadable files, examples by class and part, sizes, pictures that
    are there more than once, and classes that are nearly empty or nearly everything.
    """
    _prepare(name)
    from keras_logitkd.cli import data_check

    found = data_check.look(name, data_dir)
    if as_json:
        tables.print_json(found)
    else:
        title = f"{found['name']}: {len(found['classes'])} classes"
        _print_counts(found["classes"], found["parts"], rows, title)
        data_check.print_findings(found)
    context.exit(1 if found["unreadable"] else 0)


def _prepare(name):
    """Lets what is logged on stderr be seen; loads TensorFlow for a dataset that needs it."""
    quiet.show_log()
    if name != "digits" and specs.kind_of(name) is None:
        quiet.load_tensorflow()


def _sheet_path(name, output):
    if output is None:
        safe = re.sub(r"[^\w\-]+", "-", f"{specs.stem(name)}-contact-sheet")
        return pathlib.Path(f"{safe}.png")
    path = pathlib.Path(output)
    if path.suffix.lower() != ".png":
        raise click.BadParameter(f"must end in .png. Received: {output}", param_hint="--output")
    if not path.parent.is_dir():
        raise click.BadParameter(f"no such directory: {path.parent}", param_hint="--output")
    return path


def _summary(dataset):
    """Returns what `show` tells, as plain values."""
    import numpy as np

    from keras_logitkd.data.statistics import channel_statistics

    mean, std = channel_statistics(dataset.train, dataset.training)
    parts = dataset.parts()
    counts = {
        part: np.bincount(split.labels[indices], minlength=dataset.num_classes).tolist()
        for part, (split, indices) in parts.items()
    }
    return {
        "name": dataset.name,
        "image_shape": dataset.image_shape,
        "in_memory": dataset.in_memory,
        **{part: len(indices) for part, (_, indices) in parts.items()},
        "mean": mean.tolist(),
        "std": std.tolist(),
        "fingerprint": dataset.fingerprint(),
        "classes": [
            {"name": class_name, **{part: count[label] for part, count in counts.items()}}
            for label, class_name in enumerate(dataset.class_names)
        ],
    }


def _print_summary(summary, rows):
    shape = " x ".join("any" if size is None else str(size) for size in summary["image_shape"])
    held = "in memory" if summary["in_memory"] else "streamed"
    parts = [part for part in PARTS if part in summary]
    title = f"{summary['name']}: {shape}, {len(summary['classes'])} classes, {held}"
    _print_counts(summary["classes"], {part: summary[part] for part in parts}, rows, title)
    for key in ("mean", "std"):
        numbers = ", ".join(f"{value:.3f}" for value in summary[key])
        click.echo(f"{key} of pixel values: {numbers}")
    click.echo(f"Contact sheet written to {summary['contact_sheet']}")


def _print_counts(classes, parts, rows, title):
    """Prints how many examples of each class the parts have, and its share of the first."""
    cells = [_counts(entry["name"], entry, parts) for entry in classes[:rows]]
    cells.append(_counts("all", parts, parts))
    first, *others = parts
    tables.print_table(("class", first, "share", *others), cells, title=title)
    more = len(classes) - rows
    if more > 0:
        click.echo(f"{more} more classes: --rows")


def _counts(name, counts, parts):
    first, *others = (tables.integer(counts[part]) for part in parts)
    trained = next(iter(parts))
    share = "-" if name == "all" else tables.percent(counts[trained] / parts[trained])
    return name, first, share, *others


@data.command("import")
@click.argument("path", type=click.Path())
@click.option(
    "--format",
    "kind",
    type=click.Choice(("idx", "cifar", *specs.PATH_KINDS)),
    required=True,
    help="What PATH is: a folder of IDX files, CIFAR's binary archive or its folder, an .npz file, "
    "a folder with one folder per class, or a table of image files and labels.",
)
@click.option("--name", required=True, help="Name of the new dataset, such as my_flowers.")
@_data_dir
@click.option("--overwrite", is_flag=True, help="Replace a dataset of that name.")
@options.output_options
def import_data(path, kind, name, data_dir, overwrite, as_json):
    """Turn local files into a TFDS dataset, without a network."""
    quiet.show_log()
    quiet.load_tensorflow()
    from keras_logitkd.data.importers import import_dataset

    dataset, directory = import_dataset(kind, path, name, data_dir, overwrite)
    train, test, classes = len(dataset.train), len(dataset.test), dataset.num_classes
    if as_json:
        counts = {"train": train, "test": test, "classes": classes}
        tables.print_json({"name": name, "directory": str(directory), **counts})
        return
    click.echo(
        f"Imported {name}: {train:,} training and {test:,} test images, {classes} classes, into "
        f"{directory}"
    )
