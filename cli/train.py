"""`logitkd train`: a network on hard labels."""

import functools

import click

from keras_logitkd.cli import (
    config_file,
    launcher,
    options,
    parameters,
    plans,
    quiet,
    run_config,
    tables,
)
from keras_logitkd.cli.grouping import TRAINED, Command


@click.command(cls=Command)
@options.option(
    "--model",
    required=True,
    type=parameters.model_name,
    group=TRAINED,
    help=f"The network: {options.model_help}.",
)
@options.count("--size", "Side of its images in pixels. [default: the views']", group=TRAINED)
@options.workers_option
@plans.plan_options
@options.run_options
@config_file.config_option
@click.pass_context
def train(context, **given):
    """Train a network on hard labels and save it as model.keras in a run directory."""
    launcher.run_workers(context, given["workers"])
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    workspace = session.workspace_of(given, by_several=True)
    cell = workspace.labelled(given["model"])
    run_config.check(workspace, cell)
    is_chief = workspace.devices.is_chief
    if given["dry_run"]:
        if is_chief:
            plans.show("train", workspace.job(cell, given["name"]))
        return
    announce = functools.partial(plans.announce, "train") if is_chief else None
    run = workspace.run(cell, given["name"], announce=announce)
    if not is_chief:
        return
    if given["as_json"]:
        tables.print_json({"run": str(run.directory.path), **run.result})
        return
    session.print_results({"model": (given["model"], run)})
