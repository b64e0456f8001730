"""`logitkd train`: a network on hard labels."""

import click

from keras_logitkd.cli import options, parameters, quiet, tables


@click.command()
@click.option("--model", required=True, type=parameters.ModelName(), help="Zoo name.")
@options.run_options
def train(**arguments):
    """Train a network on hard labels and save it as model.keras in a run directory."""
    recipe_fields, given = options.split_recipe_fields(arguments)
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    run = session.workspace_of(given, recipe_fields).train(given["model"], name=given["name"])
    if given["as_json"]:
        tables.print_json({"run": str(run.directory.path), **run.result})
        return
    session.print_results({"model": (given["model"], run)})
