"""Tables and numbers as people read them."""

import json

import click


def print_table(columns, rows, title=None):
    """Prints rows of strings under column names; columns of numbers are aligned right."""
    from rich.console import Console
    from rich.table import Table

    if title:
        click.echo(title)
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        cells = [row[index] for row in rows]
        is_number = all(cell[:1].isdigit() or cell == "-" for cell in cells)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table, markup=False, highlight=False)


def print_json(content):
    """Prints JSON on standard output."""
    click.echo(json.dumps(content, indent=2))


def percent(share):
    """`0.98765` as `98.77%`; None as `-`."""
    return "-" if share is None else f"{100 * share:.2f}%"


def integer(number):
    """`703284` as `703,284`; None as `-`."""
    return "-" if number is None else f"{number:,}"


def seconds(number):
    """Seconds with one digit; None as `-`."""
    return "-" if number is None else f"{number:,.1f}"


def spread(mean, std):
    """`4.98 ± 0.09`, without the deviation where it is nan; nan as `-`."""
    if mean != mean:
        return "-"
    return f"{mean:.2f}" + (f" ± {std:.2f}" if std == std else "")
