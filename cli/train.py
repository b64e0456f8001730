"""`logitkd train`: a network on hard labels."""

import click

from keras_logitkd.cli import options, quiet, tables


@click.command()
@click.option("--model", required=True, type=options.ModelName(), help="Zoo name.")
@options.run_options
def train(**arguments):
    """Train a network on hard labels and save it as model.keras in a run directory."""
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    recipe_fields, given = options.split_recipe_fields(arguments)
    plan = session.open_session(given, recipe_fields)
    directory, result = plan.train(given["model"], name=given["name"])
    if given["as_json"]:
        tables.print_json({"run": str(directory.path), **result})
        return
    row = session.result_row("model", given["model"], result, directory)
    tables.print_table(session.RESULT_COLUMNS, [row], title=directory.name)
