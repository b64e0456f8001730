"""`logitkd distill`: the main job."""

import dataclasses
import functools

import click
from click.core import ParameterSource

from keras_logitkd.cli import (
    config_file,
    launcher,
    objective,
    options,
    parameters,
    plans,
    quiet,
    run_config,
    tables,
)
from keras_logitkd.cli.grouping import DATA, RUN, WHAT, Command

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


@click.command(cls=Command)
@options.distillation_options
@options.option(
    "--loss",
    type=parameters.objective,
    metavar="LOSS",
    default="mse",
    group=WHAT,
    help=f"{objective.forms()}; in stages kl:3@0,mse@100; feature methods at, mse+at:weight=500 "
    "(docs/methods.md); sequential: kl, then mse.",
)
@options.option(
    "--tau",
    type=parameters.temperature,
    metavar="T",
    group=WHAT,
    help="Temperature where --loss says none: --loss kl --tau 3. May move: 8..2@20. [default: 4]",
)
@options.count("--switch-epoch", "Where sequential turns to mse. [default: half]", group=WHAT)
@options.option("--stages", metavar="LOSS@EPOCH[,...]", hidden=True, group=WHAT)
@options.option(
    "--alpha",
    type=parameters.alpha,
    metavar="A",
    default=1.0,
    group=WHAT,
    help="Weight of --loss; labels have 1 - A. May move: 0.1..0.9@20.",
)
@options.option(
    "--baseline", is_flag=True, group=WHAT, help="Also train the student on hard labels."
)
@options.option(
    "--seeds",
    type=parameters.integers,
    metavar="N,N,...",
    group=RUN,
    help="A run for each and their mean; replaces --seed.",
)
@options.option(
    "--unlabelled",
    metavar="folder:DIR",
    group=DATA,
    help="Images without labels, to learn the teacher's logits of.",
)
@options.cache_options
@options.workers_option
@plans.plan_options
@options.run_options
@config_file.config_option
@click.pass_context
def distill(context, **given):
    """Distil a teacher into a student and save it as student.keras in a run directory."""
    _let_the_command_line_win(context, given)
    objective.check(given)
    launcher.run_workers(context, given["workers"])
    quiet.load_tensorflow()
    from keras_logitkd.cli import seeds, session

    workspace = session.workspace_of(given, by_several=True)
    is_chief = workspace.devices.is_chief
    count = len(given["seeds"] or [0])
    if given["dry_run"]:
        if is_chief:
            plans.show("distill", workspace.job(_cell(workspace, given), given["name"]), count)
        return
    announce = functools.partial(plans.announce, "distill", runs=count) if is_chief else None
    if given["seeds"] is None:
        runs = _distil(workspace, given, given["name"], announce)
        if is_chief:
            _report(given, *runs)
        return
    pairs = []
    for seed in given["seeds"]:
        name = f"{given['name']}-s{seed}" if given["name"] else None
        pairs.append(_distil(dataclasses.replace(workspace, seed=seed), given, name, announce))
        announce = None
    if is_chief:
        seeds.report(given, pairs)


def _distil(workspace, given, name, announce):
    """Returns the run, and that on hard labels where it is asked for or else None."""
    run = workspace.run(_cell(workspace, given), name, announce=announce)
    return run, workspace.train(given["student"]) if given["baseline"] else None


def _cell(workspace, given):
    """The `Cell` that is asked for."""
    cell = workspace.distillation(
        given["student"],
        given["teacher"],
        loss=objective.text_of(given, workspace.recipe_of_model(given["student"]).epochs),
        alpha=given["alpha"],
        teacher_epochs=given["teacher_epochs"],
    )
    run_config.check(workspace, cell)
    return cell


def _let_the_command_line_win(context, given):
    """Drops what a config file says where the command line says something that excludes it."""

    def is_typed(name):
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    for typed, name in _REPLACES:
        if is_typed(typed) and not is_typed(name):
            given[name] = None
    if is_typed("seed") and is_typed("seeds"):
        raise click.UsageError("'--seed' and '--seeds' exclude each other")


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
