"""`logitkd sequential`: chains of teachers."""

import click

from keras_logitkd.cli import config_file, options, quiet
from keras_logitkd.cli.grouping import WHAT, Command


@click.command(cls=Command)
@click.argument("links", nargs=-1, required=True, metavar="TEACHER MODEL:LOSS [MODEL:LOSS ...]")
@options.count(
    "--teacher-epochs",
    "Epochs of the first teacher. [default: its recipe's]",
    group=WHAT,
)
@options.count("--student-size", "Side of the images of the networks after the first.", group=WHAT)
@options.count(
    "--teacher-size", "Side of the first teacher's images. [default: the views']", group=WHAT
)
@options.data_options
@options.views_option
@options.sweep_options(default_seeds="0")
@config_file.config_option
@click.pass_context
def sequential(context, **given):
    """Distil along a chain, each network the teacher of the next.

    For example: logitkd sequential wrn-28-4 wrn-16-4:kl:3 wrn-16-2:mse

    What is finished is not trained again: after an interruption, run the same command again.
    """
    quiet.load_tensorflow()
    from keras_logitkd.cli import sweeps
    from keras_logitkd.experiments import chain, table_report

    links = chain.parse_links(given["links"])
    workspace = sweeps.sweep_workspace(given)
    first = workspace.teachers_named(links[0].model, given["teacher_epochs"])
    entries = chain.chain_entries(
        first, links[1:], given["seeds"], given["views"], given["student_size"]
    )
    story = table_report.Story(
        title=f"Chain on {given['dataset']}",
        what=f"{' -> '.join(given['links'])}, seeds {', '.join(map(str, given['seeds']))}.",
        command=sweeps.command_line(),
    )
    written = table_report.run(story, entries, workspace, **sweeps.running(given, "sequential"))
    context.exit(sweeps.print_report(written, given["as_json"]))
