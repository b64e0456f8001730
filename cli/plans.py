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


def show(command, job, is_dry, runs=1):
    """Prints what a job is going to do on standard error, if it is not done.

    How long it takes is measured where nothing runs afterwards, and where the recipe was made for
    the data.

    Args:
        command: its name.
        job: the `Job`.
        is_dry: whether it ends there.
        runs: how many such runs there are. Defaults to 1.
    """
    from keras_logitkd.runs import plan
    from keras_logitkd.runs.spec.recipes import is_fitted

    measured = is_dry or is_fitted(job.workspace.dataset)
    made = plan.plan_of(job)
    if made.is_done and not is_dry:
        return
    if measured and not made.is_done:
        made = plan.plan_of(job, seconds=plan.unfinished_seconds(job))
    rows = [*made.rows, ("change it", _CHANGES[command])]
    if runs > 1:
        rows.append(("seeds", f"{runs} such runs"))
    if made.is_done:
        rows.append(("done", "this run is finished already"))
    width = max(len(what) for what, _ in rows)
    for what, text in rows:
        click.echo(f"{what:{width}}  {text}", err=not is_dry)
