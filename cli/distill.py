"""`logitkd distill`: the main job."""

import click

from keras_logitkd.cli import options, quiet, tables

_DEFAULT_TEMPERATURE = 4.0


@click.command()
@click.option("--student", required=True, type=options.ModelName(), help="Zoo name.")
@click.option(
    "--teacher",
    type=options.Teachers(),
    help="Zoo name, trained once by the recipe and then reused, or a .keras file that takes raw "
    "pixels and returns logits; several are averaged. [default: the recipe's]",
)
@click.option(
    "--teacher-epochs",
    type=click.IntRange(min=1),
    help="Epochs of a teacher by name. [default: the recipe's, whatever --epochs is]",
)
@click.option(
    "--loss",
    type=click.Choice(["mse", "kl", "sequential"]),
    default="mse",
    show_default=True,
    help="Distillation loss; sequential is kl, then mse.",
)
@click.option(
    "--tau", type=options.Temperature(), help="Temperature of kl, in [0, inf]. [default: 4]"
)
@click.option(
    "--switch-epoch",
    type=click.IntRange(min=1),
    help="First epoch of mse with --loss sequential, counted from 0. [default: half]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Weight of the distillation loss beside the hard loss.",
)
@click.option("--baseline", is_flag=True, help="Also train the student on hard labels.")
@options.run_options
def distill(**arguments):
    """Distil a teacher into a student and save it as student.keras in a run directory."""
    recipe_fields, given = options.split_recipe_fields(arguments)
    _check_combination(given)
    quiet.load_tensorflow()
    from keras_logitkd.cli import session

    plan = session.open_session(given, recipe_fields)
    loss = _objective(given["loss"], given["tau"], given["switch_epoch"], plan.recipe.epochs)
    outcome = plan.distill(
        given["student"],
        given["teacher"] or plan.recipe.teacher,
        loss=loss,
        alpha=given["alpha"],
        name=given["name"],
        teacher_epochs=given["teacher_epochs"],
    )
    baseline = plan.train(given["student"]) if given["baseline"] else None
    _report(given, outcome, baseline)


def _check_combination(given):
    if given["tau"] is not None and given["loss"] == "mse":
        raise click.UsageError("'--tau' is the temperature of kl; mse has none")
    if given["switch_epoch"] is not None and given["loss"] != "sequential":
        raise click.UsageError("'--switch-epoch' goes with '--loss sequential'")


def _objective(loss, temperature, switch_epoch, epochs):
    """The distillation loss as `losses.get` reads it."""
    if loss == "mse":
        return "mse"
    kl = f"kl:{_DEFAULT_TEMPERATURE if temperature is None else temperature:g}"
    if loss == "kl":
        return kl
    switch_epoch = max(1, epochs // 2) if switch_epoch is None else switch_epoch
    return f"{kl}@0,mse@{switch_epoch}"


def _report(given, outcome, baseline):
    from keras_logitkd.cli import session

    if given["as_json"]:
        report = {"run": str(outcome.directory.path), **outcome.result}
        if baseline:
            report["baseline"] = {"run": str(baseline[0].path), **baseline[1]}
        tables.print_json(report)
        return
    rows = [session.teacher_row(teacher, outcome.result) for teacher in outcome.teachers]
    rows.append(session.result_row("student", given["student"], outcome.result, outcome.directory))
    if baseline:
        rows.append(session.result_row("baseline", given["student"], baseline[1], baseline[0]))
    tables.print_table(session.RESULT_COLUMNS, rows, title=outcome.directory.name)
