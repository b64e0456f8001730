"""`logitkd train`: a network on hard labels."""

import functools

import click

from keras_logitkd.cli import launcher, options, parameters, plans, quiet, tables


@click.command()
@click.option(
    "--model", required=True, type=parameters.model_name, help=f"A network: {options.model_help}."
)
@options.count("--size", "Side of the network's images in pixels. [default: the views']")
@options.workers_option
@plans.plan_options
@options.run_options
@click.pass_context
def train(context, **given):
    """Train a network on hard labels and save it as model.keras in a run directory."""
    launcher.run_workers(context, given["workers"])
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    workspace = session.workspace_of(given, by_several=True)
    cell = workspace.labelled(given["model"])
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
