"""`logitkd distill`: the main job."""

import dataclasses
import functools

import click
from click.core import ParameterSource

from keras_logitkd import features
from keras_logitkd.cli import config_file, launcher, options, parameters, plans, quiet, tables
from keras_logitkd.losses import registry

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
    type=parameters.objective,
    metavar=f"{'|'.join(registry.LOSSES)}|sequential|METHOD",
    default="mse",
    help="Distillation loss; sequential is kl, then mse, or what --stages says. Or feature methods "
    f"({', '.join(features.METHODS)}) with options, alone or beside a logit loss: at:weight=500, "
    "mse+at.",
)
@click.option(
    "--tau",
    type=parameters.temperature,
    help=f"Temperature of {', '.join(registry.softened())}, in [0, inf], or a schedule of positive "
    "ones by epochs or steps: 8..2@20, 8..2@500steps, cosine(8..2@20). [default: 4]",
)
@options.count(
    "--switch-epoch",
    "First epoch of mse with --loss sequential, counted from 0. [default: half]",
)
@click.option(
    "--stages",
    metavar="LOSS@EPOCH[,...]",
    help="Losses of --loss sequential with their first epochs, counted from 0: kl:3@0,mse@100.",
)
@click.option(
    "--alpha",
    type=parameters.alpha,
    default=1.0,
    help="Weight of the distillation loss beside the hard loss, or a schedule of it: 0.1..0.9@20.",
)
@click.option("--baseline", is_flag=True, help="Also train the student on hard labels.")
@click.option(
    "--seeds",
    type=parameters.integers,
    help="One run for each of these seeds, and their mean: 0,1,2. Takes the place of --seed.",
)
@click.option(
    "--unlabelled",
    metavar="folder:DIR",
    help="Images without class folders, which the student learns the teacher's logits of.",
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
    _check_combination(given)
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
    return workspace.distillation(
        given["student"],
        given["teacher"],
        loss=_objective(given, workspace.recipe_of_model(given["student"]).epochs),
        alpha=given["alpha"],
        teacher_epochs=given["teacher_epochs"],
    )


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
    softened = registry.softened()
    if given["tau"] is not None and given["loss"] not in (*softened, "sequential"):
        objective = features.Objective.parse(given["loss"])
        instead = f"write {registry.with_argument('kl', given['tau'])}+..."
        if not objective.methods:
            has_one = objective.temperature is not None or registry.schedule_in(given["loss"])
            instead = f"{objective.text} has {'one' if has_one else 'none'}"
        names = " or ".join(softened)
        raise click.UsageError(f"'--tau' is the temperature of {names}; {instead}")
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
    """The text of the objective."""
    loss, stages, tau, switch_epoch = (
        given[name] for name in ("loss", "stages", "tau", "switch_epoch")
    )
    if stages is not None:
        text = "".join(stages.split())
        if "@" not in text:
            raise click.UsageError(
                f"'--stages' must be LOSS@EPOCH[,...], such as kl:3@0,mse@100. Received: {text!r}"
            )
        objective = features.Objective.parse(text)
        objective.check()
        objective.check_epochs(epochs)
        return text
    if loss not in (*registry.softened(), "sequential"):
        return loss
    name = "kl" if loss == "sequential" else loss
    softened = registry.with_argument(name, registry.LOSSES[name].default if tau is None else tau)
    if loss != "sequential":
        return softened
    switch_epoch = epochs // 2 if switch_epoch is None else switch_epoch
    if epochs < 2:
        raise click.UsageError(f"'--loss sequential' needs '--epochs' of at least 2, not {epochs}")
    if not 1 <= switch_epoch < epochs:
        raise click.UsageError(
            f"'--switch-epoch' must lie in 1..{epochs - 1} of {epochs} epochs. "
            f"Received: {switch_epoch}"
        )
    return f"{softened}@0,mse@{switch_epoch}"


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
