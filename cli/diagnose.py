"""`logitkd diagnose`: why a student is no better."""

import dataclasses
import textwrap

import click

from keras_logitkd.cli import options, quiet, tables

_WIDTH = 96


@click.command()
@click.argument("run")
@options.data_dir_option
@options.cache_dir_option
@options.runs_option
@options.output_options
def diagnose(run, data_dir, cache_dir, runs_dir, as_json):
    """Check a finished distillation and say what may keep the student back.

    RUN is a run directory, or the name of a run in --runs-dir. Nothing in it is changed. Up to
    2,000 training and 2,000 test images are looked at.
    """
    quiet.load_tensorflow()
    from keras_logitkd.analysis import diagnosis
    from keras_logitkd.analysis.finished_run import open_run
    from keras_logitkd.cli import session

    opened = open_run(run, runs_dir, data_dir)
    cache = session.cache_at(cache_dir, opened.directory.path.parent)
    findings = diagnosis.diagnose(opened, cache)
    standing = diagnosis.standing(opened)
    if as_json:
        content = {"run": str(opened.directory.path), "test_accuracy": standing}
        tables.print_json({**content, "findings": [dataclasses.asdict(f) for f in findings]})
        return
    shown = ", ".join(f"{what} {tables.percent(share)}" for what, share in standing.items())
    click.echo(f"{opened.directory.name}\ntest accuracy: {shown}")
    for finding in findings:
        click.echo(f"\n{finding.status.upper()}: {finding.title}")
        click.echo(_indented(finding.sentence))
        if finding.advice:
            click.echo(_indented(f"-> {finding.advice}"))


def _indented(text):
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
