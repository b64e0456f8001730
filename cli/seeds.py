"""Several runs that differ in their seed: a row for each, and what they have in common."""

import statistics

import click

from keras_logitkd.cli import imbalance, tables

_COLUMNS = ("role", "seed", "test accuracy", "validation", "agreement", "seconds", "run")


def report(given, pairs):
    """Prints runs over seeds with mean, standard deviation, n and spread of the test accuracy.

    Args:
        given: the options of the command; `seeds` and `as_json` are read.
        pairs: for each seed a `Run` and the `Run` of its baseline or None.
    """
    roles = {"student": [run for run, _ in pairs]}
    if all(baseline for _, baseline in pairs):
        roles["baseline"] = [baseline for _, baseline in pairs]
    summaries = {role: summary(runs) for role, runs in roles.items()}
    rows = [
        {"role": role, "seed": seed, "run": str(run.directory.path), **run.result}
        for role, runs in roles.items()
        for seed, run in zip(given["seeds"], runs, strict=True)
    ]
    if given["as_json"]:
        tables.print_json({"runs": rows, "summary": summaries})
        return
    tables.print_table(_COLUMNS, [_cells(row) for row in rows])
    for row in rows:
        what = f"{row['role']} seed {row['seed']}"
        for line in imbalance.lines_of(what, imbalance.of_test(row)):
            click.echo(line)
    for role, numbers in summaries.items():
        click.echo(f"{role}: {_sentence(numbers['test_accuracy'])}")


def summary(runs):
    """Returns mean, standard deviation (None for one run), n, min and max of the test accuracy."""
    accuracies = [run.result["test_accuracy"] for run in runs]
    return {
        "test_accuracy": {
            "mean": statistics.fmean(accuracies),
            "standard_deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
            "n": len(accuracies),
            "min": min(accuracies),
            "max": max(accuracies),
        }
    }


def _sentence(numbers):
    return (
        f"test accuracy {tables.percent(numbers['mean'])} ± "
        f"{tables.percent(numbers['standard_deviation'])} (mean ± standard deviation, "
        f"n = {numbers['n']}), from {tables.percent(numbers['min'])} to "
        f"{tables.percent(numbers['max'])}"
    )


def _cells(row):
    return (
        row["role"],
        str(row["seed"]),
        tables.percent(row["test_accuracy"]),
        tables.percent(row.get("validation_accuracy")),
        tables.percent(row.get("test_agreement")),
        tables.seconds(row.get("seconds")),
        row["run"],
    )
