"""`logitkd distill`: the main job."""

import dataclasses

import click
from click.core import ParameterSource

from keras_logitkd import features
from keras_logitkd.cli import config_file, launcher, options, parameters, quiet, tables

_DEFAULT_TEMPERATURE = 4.0
# An option of the command line, and one of a config file that it takes the place of.
_REPLACES = (
    ("seed", "seeds"),
    ("loss", "tau"),
    ("loss", "switch_epoch"),
    ("loss", "stages"),
    ("stages", "tau"),
    ("stages", "switch_epoch"),
    ("tau", "stages"),
    ("switch_epoch", "stages"),
)


@click.command()
@options.distillation_options
@click.option(
    "--loss",
    type=parameters.Objective(),
    metavar="mse|kl|sequential|METHOD",
    default="mse",
    show_default=True,
    help="Distillation loss; sequential is kl, then mse, or what --stages says. Or feature methods "
    f"({', '.join(features.METHODS)}) with options, alone or beside a logit loss: at:weight=500, "
    "mse+at.",
)
@click.option(
    "--tau", type=parameters.Temperature(), help="Temperature of kl, in [0, inf]. [default: 4]"
)
@click.option(
    "--switch-epoch",
    type=click.IntRange(min=1),
    help="First epoch of mse with --loss sequential, counted from 0. [default: half]",
)
@click.option(
    "--stages",
    metavar="LOSS@EPOCH[,...]",
    help="Losses of --loss sequential with their first epochs, counted from 0: kl:3@0,mse@100.",
)
@click.option(
    "--alpha",
    type=parameters.Share(),
    default=1.0,
    show_default=True,
    help="Weight of the distillation loss beside the hard loss.",
)
@click.option("--baseline", is_flag=True, help="Also train the student on hard labels.")
@click.option(
    "--seeds",
    type=parameters.Integers(),
    help="One run for each of these seeds, and their mean: 0,1,2. Takes the place of --seed.",
)
@options.cache_options
@options.workers_option
@options.run_options
@config_file.config_option
@click.pass_context
def distill(context, **given):
    """Distil a teacher into a student and save it as student.keras in a run directory."""
    _let_the_command_line_win(context, given)
    _check_combination(given)
    launcher.run_workers(context, given["workers"])
    quiet.load_tensorflow()
    from keras_logitkd.cli import seeds, session

    workspace = session.workspace_of(given, by_several=True)
    is_chief = workspace.devices.is_chief
    if given["seeds"] is None:
        runs = _distil(workspace, given, given["name"])
        if is_chief:
            _report(given, *runs)
        return
    pairs = []
    for seed in given["seeds"]:
        name = f"{given['name']}-s{seed}" if given["name"] else None
        pairs.append(_distil(dataclasses.replace(workspace, seed=seed), given, name))
    if is_chief:
        seeds.report(given, pairs)


def _distil(workspace, given, name):
    """Returns the run, and that on hard labels where it is asked for or else None."""
    run = workspace.distill(
        given["student"],
        given["teacher"],
        loss=_objective(given, workspace.recipe.epochs),
        alpha=given["alpha"],
        name=name,
        teacher_epochs=given["teacher_epochs"],
    )
    return run, workspace.train(given["student"]) if given["baseline"] else None


def _let_the_command_line_win(context, given):
    """Drops what a config file says where the command line says something that excludes it."""

    def is_typed(name):
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    for typed, name in _REPLACES:
        if is_typed(typed) and not is_typed(name):
            given[name] = None
    if is_typed("seed") and is_typed("seeds"):
        raise click.UsageError("'--seed' and '--seeds' exclude each other")


def _check_combination(given):
    if given["tau"] is not None and given["loss"] not in ("kl", "sequential"):
        instead = "mse has none" if given["loss"] == "mse" else f"write kl:{given['tau']:g}+..."
        raise click.UsageError(f"'--tau' is the temperature of kl; {instead}")
    if given["switch_epoch"] is not None and given["loss"] != "sequential":
        raise click.UsageError("'--switch-epoch' goes with '--loss sequential'")
    if given["stages"] is None:
        return
    if given["loss"] != "sequential":
        raise click.UsageError("'--stages' goes with '--loss sequential'")
    for name, flag in (("tau", "--tau"), ("switch_epoch", "--switch-epoch")):
        if given[name] is not None:
            raise click.UsageError(f"'--stages' and '{flag}' exclude each other")


def _objective(given, epochs):
    """The objective, see `features.registry`."""
    if given["stages"] is not None:
        return _checked_stages("".join(given["stages"].split()), epochs)
    loss, temperature, switch_epoch = (given[name] for name in ("loss", "tau", "switch_epoch"))
    if loss not in ("kl", "sequential"):
        return loss
    kl = f"kl:{_DEFAULT_TEMPERATURE if temperature is None else temperature:.12g}"
    if loss == "kl":
        return kl
    switch_epoch = epochs // 2 if switch_epoch is None else switch_epoch
    if epochs < 2:
        raise click.UsageError(f"'--loss sequential' needs '--epochs' of at least 2, not {epochs}")
    if not 1 <= switch_epoch < epochs:
        raise click.UsageError(
            f"'--switch-epoch' must lie in 1..{epochs - 1} of {epochs} epochs. "
            f"Received: {switch_epoch}"
        )
    return f"{kl}@0,mse@{switch_epoch}"


def _checked_stages(stages, epochs):
    from keras_logitkd.runs.checks import check_stages

    if "@" not in stages:
        raise click.UsageError(
            f"'--stages' must be LOSS@EPOCH[,...], such as kl:3@0,mse@100. Received: {stages!r}"
        )
    check_stages(stages, epochs)
    return stages


def _report(given, run, baseline):
    from keras_logitkd.cli import session

    if given["as_json"]:
        report = {"run": str(run.directory.path), **run.result}
        if baseline:
            report["baseline"] = {"run": str(baseline.directory.path), **baseline.result}
        tables.print_json(report)
        return
    runs = {"student": (given["student"], run)}
    if baseline:
        runs["baseline"] = (given["student"], baseline)
    session.print_results(runs)
