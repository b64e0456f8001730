"""`logitkd tune`: searching for loss, temperature and alpha."""

import click

from keras_logitkd import features
from keras_logitkd.cli import launcher, options, parameters, quiet, tables
from keras_logitkd.losses import registry

_METHODS = ("random", "grid", "bayesian", "hyperband")
_GRID_POINTS = 5


@click.command()
@options.distillation_options
@click.option(
    "--search",
    "method",
    type=click.Choice(_METHODS),
    default="random",
    help="How the next trial is chosen.",
)
@options.count("--trials", "How many at most; a grid may have fewer points.", default=10)
@click.option(
    "--losses",
    default="kl,mse",
    metavar="kl,mse,METHOD",
    help="Losses to choose from; feature methods as in distill --loss, such as at or mse+at.",
)
@click.option(
    "--tau-range",
    metavar="LOW,HIGH|none",
    help="Logarithmic axis of the temperature of kl, bkl or ttm. [default: 0.1,30]",
)
@click.option(
    "--tau-choices",
    type=parameters.numbers,
    help="Temperatures in [0, inf] beside the axis, such as 0,inf.",
)
@click.option(
    "--alpha-range",
    metavar="LOW,HIGH",
    help="Axis of the weight of the distillation loss. [default: alpha is 1]",
)
@options.count(
    "--grid-points", f"Values on each axis of a grid. [default: {_GRID_POINTS}]", least=2
)
@click.option(
    "--objective",
    type=click.Choice(["val_accuracy", "val_balanced_accuracy"]),
    default="val_accuracy",
    help="What the best trial has most of; balanced: the mean of the accuracies of the classes.",
)
@options.count("--workers", "Processes that train trials at the same time.", default=1)
@options.cache_options
@options.run_options
@click.pass_context
def tune(context, **given):
    """Search for the loss, its temperature and alpha with the best validation accuracy.

    Writes best.json, which `logitkd distill --config` trains. The same command continues a search
    that was interrupted. The test set is not read.
    """
    fields = _space_fields(given)
    quiet.load_tensorflow()
    from keras_logitkd import tuning
    from keras_logitkd.cli import session
    from keras_logitkd.processes import interrupts
    from keras_logitkd.tuning import workers

    member = workers.member()
    interrupts.end_with_parent()
    search = tuning.Search(
        session.workspace_of(given),
        given["student"],
        given["teacher"],
        given["teacher_epochs"],
        space=tuning.SearchSpace(**fields),
        method=given["method"],
        trials=given["trials"],
        name=given["name"],
        objective=given["objective"],
    )
    best = search.start()
    try:
        if member is not None:  # a part of a distributed search, whose chief writes what came out
            search.join()
            if workers.CHIEF in member:
                search.finish()
            return
        if best is None:
            best = search.run(given["workers"], launcher.command_of(context.obj))
    except tuning.WorkerError as error:
        click.echo(f"logitkd: error: {error}", err=True)
        context.exit(1)
    _report(search, best, given["as_json"])


def _space_fields(given):
    """The arguments of a `SearchSpace`."""
    losses = tuple(part for part in features.split_list(given["losses"]) if part)
    if not set(losses) & set(registry.softened()):
        for option in ("tau_range", "tau_choices"):
            if given[option]:
                flag = option.replace("_", "-")
                raise click.UsageError(f"'--{flag}' is about kl, which '--losses' leaves out")
    if given["grid_points"] and given["method"] != "grid":
        raise click.UsageError("'--grid-points' goes with '--search grid'")
    fields = {"losses": losses, "tau_choices": given["tau_choices"] or ()}
    if given["tau_range"] is not None:
        is_none = given["tau_range"].strip().lower() == "none"
        fields["tau_range"] = None if is_none else _numbers("tau-range", given["tau_range"])
    if given["alpha_range"] is not None:
        fields["alpha"] = _numbers("alpha-range", given["alpha_range"])
    if given["method"] == "grid":
        fields["points"] = given["grid_points"] or _GRID_POINTS
    return fields


def _numbers(option, text):
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(
            f"'--{option}' must be two numbers such as 0.1,1. Received: {text}"
        ) from None
    return low, high


_COLUMNS = (
    *("trial", "status", "loss", "tau", "alpha", "epochs", "validation", "seconds", "teacher s"),
    "balanced",
)


def _report(search, best, as_json):
    rows = search.rows()
    if as_json:
        tables.print_json({"search": str(search.path), **best, "trials": rows})
        return
    columns = _COLUMNS if "validation_balanced_accuracy" in rows[0] else _COLUMNS[:-1]
    cells = [_cells(row)[: len(columns)] for row in rows]
    tables.print_table(columns, cells)
    options_file = search.path / "best.json"
    click.echo(f"Best by validation: trial {best['search']['trial']}, in {options_file}")
    click.echo(f"Train it: logitkd distill --config {options_file}")


def _cells(row):
    return (
        row["trial"],
        row["status"],
        row["loss"],
        "-" if row["tau"] is None else f"{float(row['tau']):g}",
        f"{row['alpha']:g}",
        str(row["epochs"]),
        tables.percent(row["validation_accuracy"]),
        tables.seconds(row["seconds"]),
        tables.seconds(row["teacher_seconds"]),
        tables.percent(row.get("validation_balanced_accuracy")),
    )
