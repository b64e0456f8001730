"""`--dry-run`, and the plan that `train` and `distill` begin with."""

import click

from keras_logitkd.cli import options
from keras_logitkd.cli.grouping import RECIPE, RUN

_CHANGES = {
    "distill": "--preset quick, --epochs, --views, --teacher, --student-size, --teacher-size",
    "train": "--preset quick, --epochs, --size",
}
plan_options = options.together(
    options.option(
        "--preset",
        type=click.Choice(["standard", "quick"]),
        default="standard",
        metavar="PRESET",
        group=RECIPE,
        help="standard, or quick: a quarter of the epochs.",
    ),
    options.option(
        "--dry-run", is_flag=True, group=RUN, help="Print the plan with an estimate of the time."
    ),
)


def announce(command, job, runs=1):
    """Prints what a job is going to do on standard error.

    How long it takes is measured where the recipe was made for the data.

    Args:
        command: its name.
        job: the `Job`.
        runs: how many such runs there are. Defaults to 1.
    """
    from keras_logitkd.runs import plan
    from keras_logitkd.runs.spec.recipes import is_fitted

    seconds = plan.unfinished_seconds(job) if is_fitted(job.workspace.dataset) else None
    _print(command, plan.plan_of(job, seconds), runs, err=True)


def show(command, job, runs=1):
    """Prints the same on standard output, with the time, where nothing runs afterwards."""
    from keras_logitkd.runs import plan

    is_done = plan.is_done(job)
    rows = plan.plan_of(job, None if is_done else plan.unfinished_seconds(job))
    _print(command, [*rows, ("done", "this run is finished already")] if is_done else rows, runs)


def _print(command, rows, runs, err=False):
    rows = [*rows, *([("seeds", f"{runs} such runs")] if runs > 1 else [])]
    rows.append(("change it", _CHANGES[command]))
    width = max(len(what) for what, _ in rows)
    for what, text in rows:
        click.echo(f"{what:{width}}  {text}", err=err)
