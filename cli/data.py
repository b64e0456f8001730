"""`logitkd data`: the datasets of this machine."""

import json
import pathlib
import re

import click

_ROWS = 20

_data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    help="Directory of TFDS datasets.  [default: TFDS_DATA_DIR or ~/tensorflow_datasets]",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def data():
    """Look at datasets and import local ones."""


@data.command("list")
@_data_dir
@_as_json
def list_datasets(data_dir, as_json):
    """List what is embedded, prepared in --data-dir, or known by name."""
    from keras_logitkd.data import catalog, listing

    root = str(pathlib.Path(data_dir).expanduser() if data_dir else listing.default_data_dir())
    rows = [{"name": "digits", "where": "embedded", "splits": {"train": 1438, "test": 359}}]
    for entry in listing.prepared_datasets(data_dir):
        rows.append({"name": entry.name, "where": entry.directory, "splits": entry.splits})
    found = {row["name"].partition(":")[0] for row in rows}
    for name in catalog.WELL_KNOWN:
        if name not in found:
            rows.append({"name": name, "where": "TFDS, not on this machine", "splits": {}})
    if as_json:
        click.echo(json.dumps({"data_dir": root, "datasets": rows}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("dataset", "where", "examples")
    for row in rows:
        counts = ", ".join(f"{split} {count:,}" for split, count in row["splits"].items())
        where = "prepared" if row["where"].startswith(root) else row["where"]
        table.add_row(row["name"], where, counts)
    console = Console()
    console.print(table)
    console.print(f"Data directory: {root}", soft_wrap=True)
    console.print("Any other TFDS image-classification name, npz:PATH and folder:PATH work too.")


@data.command()
@click.argument("name")
@_data_dir
@click.option("--output", type=click.Path(dir_okay=False), help="PNG file of the contact sheet.")
@click.option("--rows", type=click.IntRange(1), default=_ROWS, show_default=True, help="Classes.")
@_as_json
def show(name, data_dir, output, rows, as_json):
    """Show counts, shape and class balance of NAME, and draw a contact sheet.

    NAME is digits, a TFDS name, npz:PATH or folder:PATH.
    """
    path = _sheet_path(name, output)
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
        click.echo(json.dumps(summary, indent=2))
    else:
        _print_summary(summary, rows)


def _sheet_path(name, output):
    if output is None:
        kind, _, rest = name.partition(":")
        stem = pathlib.Path(rest).stem if kind in ("npz", "folder") else name
        return pathlib.Path(re.sub(r"[^\w\-]+", "-", f"{stem}-contact-sheet") + ".png")
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

    mean, std = channel_statistics(dataset.train)
    balance = [
        np.bincount(split.labels, minlength=dataset.num_classes).tolist()
        for split in (dataset.train, dataset.test)
    ]
    return {
        "name": dataset.name,
        "image_shape": dataset.image_shape,
        "in_memory": dataset.in_memory,
        "train": len(dataset.train),
        "test": len(dataset.test),
        "mean": mean.tolist(),
        "std": std.tolist(),
        "fingerprint": dataset.fingerprint(),
        "classes": [
            {"name": class_name, "train": train, "test": test}
            for class_name, train, test in zip(dataset.class_names, *balance, strict=True)
        ],
    }


def _print_summary(summary, rows):
    from rich.console import Console
    from rich.table import Table

    shape = " x ".join("any" if size is None else str(size) for size in summary["image_shape"])
    held = "in memory" if summary["in_memory"] else "streamed"
    table = Table()
    table.add_column("class")
    for column in ("train", "share", "test"):
        table.add_column(column, justify="right")
    for entry in summary["classes"][:rows]:
        share = f"{entry['train'] / summary['train']:.2%}"
        table.add_row(entry["name"], f"{entry['train']:,}", share, f"{entry['test']:,}")
    more = len(summary["classes"]) - rows
    if more > 0:
        table.add_row(f"and {more} more (--rows)", "", "", "")
    table.add_section()
    table.add_row("all", f"{summary['train']:,}", "", f"{summary['test']:,}")
    console = Console()
    title = f"{summary['name']}: {shape}, {len(summary['classes'])} classes, {held}"
    console.print(title, soft_wrap=True)
    console.print(table)
    for key in ("mean", "std"):
        console.print(f"{key} of pixel values: " + ", ".join(f"{v:.3f}" for v in summary[key]))
    console.print(f"Contact sheet written to {summary['contact_sheet']}", soft_wrap=True)


@data.command("import")
@click.argument("path", type=click.Path())
@click.option(
    "--format",
    "kind",
    type=click.Choice(("idx", "cifar", "npz", "folder")),
    required=True,
    help="What PATH is: a folder of IDX files, CIFAR's binary archive or its folder, an .npz file, "
    "or a folder with one folder per class.",
)
@click.option("--name", required=True, help="Name of the new dataset, such as my_flowers.")
@_data_dir
@click.option("--overwrite", is_flag=True, help="Replace a dataset of that name.")
def import_data(path, kind, name, data_dir, overwrite):
    """Turn local files into a TFDS dataset, without a network."""
    from keras_logitkd.data.importers import import_dataset

    dataset, directory = import_dataset(kind, path, name, data_dir, overwrite)
    click.echo(
        f"Imported {name}: {len(dataset.train):,} training and {len(dataset.test):,} test images, "
        f"{dataset.num_classes} classes, into {directory}"
    )
