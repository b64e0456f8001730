"""`logitkd reproduce`: the paper's tables and figures, at three scales or on data of one's own."""

import click

from keras_logitkd.cli import config_file, options, parameters, quiet
from keras_logitkd.cli.grouping import DATA, WHAT, Command
from keras_logitkd.experiments.registry import EXPERIMENTS


@click.command(cls=Command)
@click.argument("what", type=click.Choice(EXPERIMENTS))
@options.option(
    "--scale",
    group=WHAT,
    type=click.Choice(["smoke", "small", "paper"]),
    default="smoke",
    metavar="SCALE",
    help="smoke: digits, minutes, and decides nothing; small: 4,000 images of Fashion-MNIST, "
    "half an hour or so each, all of them hours on two cores; paper: the paper's own data and "
    "networks, for GPUs.",
)
@options.option(
    "--dataset", metavar="SPEC", group=DATA, help="Other data than the scale's, as for distill."
)
@options.data_dir_option
@options.option(
    "--teacher",
    type=parameters.one_teacher,
    group=WHAT,
    help="Another teacher than the scale's.",
)
@options.option(
    "--student",
    type=parameters.model_name,
    group=WHAT,
    help="One student instead of the scale's.",
)
@options.count("--teacher-epochs", "Epochs of the teachers.", group=WHAT)
@options.sweep_options(default_seeds=None)
@config_file.config_option
@click.pass_context
def reproduce(context, **given):
    """Run an experiment of the paper and say which of its claims held.

    The scale sets networks, epochs and seeds; every option below that is given takes the place of
    the scale's.

    What is finished is not trained again: after an interruption, run the same command again.
    """
    quiet.load_tensorflow()
    from keras_logitkd.cli import sweeps
    from keras_logitkd.experiments import reproduce as experiments

    setup = experiments.setup_of(
        given["what"],
        given["scale"],
        dataset=given["dataset"],
        teacher=given["teacher"],
        students=(given["student"],) if given["student"] else None,
        teacher_epochs=given["teacher_epochs"],
        seeds=given["seeds"],
    )
    fields = {**setup.fields, **options.recipe_fields(given)}
    report = experiments.reproduce(
        given["what"],
        experiments.with_fields(setup, fields),
        sweeps.sweep_workspace({**given, **fields, "dataset": setup.dataset}),
        command=sweeps.command_line(),
        **sweeps.running(given, f"{given['what']}-{given['scale']}"),
    )
    context.exit(sweeps.print_report(report, given["as_json"]))
