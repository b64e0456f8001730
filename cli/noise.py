"""`logitkd noise`: teachers and students on wrong labels."""

import click

from keras_logitkd.cli import config_file, options, parameters, quiet
from keras_logitkd.cli.grouping import WHAT, Command


@click.command(cls=Command)
@options.distillation_options
@options.option(
    "--noise",
    "specs",
    multiple=True,
    required=True,
    metavar="SPEC",
    group=WHAT,
    help="symmetric:RATE, pair:RATE or matrix:FILE.csv; repeatable.",
)
@options.count("--noise-seed", "Seed of the wrong labels.", least=0, default=0, group=WHAT)
@options.option(
    "--losses",
    type=parameters.losses,
    metavar="LOSS,...",
    group=WHAT,
    default="ce,kl:0.5,kl:1,kl:5,kl:20,mse",
    help="Objectives of the students; ce: hard labels.",
)
@options.data_options
@options.views_option
@options.sweep_options(default_seeds="0,1,2")
@config_file.config_option
@click.pass_context
def noise(context, **given):
    """Train a teacher on wrong labels, distil it by several objectives, and compare.

    For example: logitkd noise --student wrn-10-1 --noise symmetric:0.4 --noise pair:0.2

    What is finished is not trained again: after an interruption, run the same command again.
    """
    quiet.load_tensorflow()
    from keras_logitkd.cli import sweeps
    from keras_logitkd.data.noise import parse_noise
    from keras_logitkd.experiments import noise as experiment
    from keras_logitkd.experiments import table_report

    noises = [parse_noise(spec, given["noise_seed"]) for spec in given["specs"]]
    workspace = sweeps.sweep_workspace(given)
    teachers = workspace.teachers_named(given["teacher"], given["teacher_epochs"])
    entries = experiment.noise_entries(
        given["student"],
        teachers,
        noises,
        given["losses"],
        given["seeds"],
        given["views"],
        given["student_size"],
    )
    title = f"{given['student']} on wrong labels of {given['dataset']}"
    story = table_report.Story(
        title=title,
        what=f"Seeds {', '.join(map(str, given['seeds']))}, labels drawn by seed "
        f"{given['noise_seed']}; validation and test labels are true.",
        command=sweeps.command_line(),
        measures=experiment.MEASURES,
        draw=lambda frame, summary: experiment.draw(frame, summary, title),
    )
    written = table_report.run(story, entries, workspace, **sweeps.running(given, "noise"))
    context.exit(sweeps.print_report(written, given["as_json"]))
