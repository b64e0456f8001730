"""`logitkd data check`: what is odd in a dataset, before anything is trained on it."""

import click

from keras_logitkd.cli import tables

_SHOWN = 20  # groups of duplicates


def look(spec, data_dir):
    """Returns the `check.report` of a dataset; unreadable files are listed, not refused."""
    from keras_logitkd.data import catalog, check, specs

    if specs.kind_of(spec) in specs.FILE_KINDS:
        # They need no place in memory: what is found of them is remembered.
        dataset = catalog.load(specs.skipping(spec), memory_budget=0)
    else:
        dataset = catalog.load(spec, data_dir)
    return check.report(dataset) | {"name": spec}


def print_findings(found):
    """Prints a report but for the counts by class."""
    from keras_logitkd.data import check

    sizes = found["sizes"]
    texts = [f"{name} {' x '.join(map(str, size))}" for name, size in sizes.items()]
    click.echo(f"Width x height: {', '.join(texts)}")
    majority = found["majority"]
    click.echo(f"Largest class: {majority['class']}, {tables.percent(majority['share'])}")
    between = [group for group in found["duplicates"] if len(group["parts"]) > 1]
    click.echo(
        f"Pictures that are there more than once: {len(found['duplicates']):,}, "
        f"{len(between):,} of them in two parts"
    )
    for group in found["duplicates"][:_SHOWN]:
        click.echo(f"  {' + '.join(group['parts'])}: {' = '.join(group['files'])}")
    if len(found["duplicates"]) > _SHOWN:
        click.echo(f"  {len(found['duplicates']) - _SHOWN:,} more: --json")
    for line in check.warnings(found):
        click.echo(f"Beware: {line}")
    click.echo(f"Unreadable files: {len(found['unreadable']):,}")
    for entry in found["unreadable"]:
        click.echo(f"  {entry['file']}: {entry['reason']}")
