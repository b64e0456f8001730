"""The paper's tables and figures by name."""

import dataclasses

from keras_logitkd.experiments import (
    ensemble,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    setups,
    table2,
    table3,
    table4,
    table5,
    table6,
    table_report,
)
from keras_logitkd.runs.spec.cell import Cell

EXPERIMENTS = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "ensemble": ensemble,
    "figure2": figure2,
    "figure3": figure3,
    "figure4": figure4,
    "figure5": figure5,
    "figure6": figure6,
}
_OTHER_DATA = "The paper's own numbers are of other data or networks, and therefore not shown."


def setup_of(name, scale, **changes):
    """Returns the `Setup` of an experiment.

    Args:
        name: of `EXPERIMENTS`.
        scale: of `setups.SCALES`.
        **changes: fields of the `Setup` that replace the scale's; None leaves its own.

    Raises:
        ValueError: If a model is not one of the zoo.
    """
    setup = setups.SETUPS[scale]
    if (name, scale) == ("table5", "paper"):
        setup = setups.IMAGENET
    given = {field: value for field, value in changes.items() if value is not None}
    setup = dataclasses.replace(setup, **given)
    setups.check_models(setup)
    return setup


def with_fields(setup, fields):
    """Returns a `Setup` with other fields of the recipe."""
    return dataclasses.replace(setup, fields=fields)


def reproduce(name, setup, workspace, output, jobs=1, progress=None, command=""):
    """Runs an experiment and writes table.csv, report.md and figure.png, or its own pictures.

    Args:
        name: of `EXPERIMENTS`.
        setup: a `Setup`.
        workspace: the `Workspace` of its dataset and of the students' recipe.
        output: directory of the files; it is created.
        jobs: as for `run_sweep`.
        progress: the `report` of `run_sweep`.
        command: how to run it again, for report.md. Defaults to nothing.

    Returns:
        A `report.Report`.

    Raises:
        ValueError: As `run_sweep` does.
        OSError: If the files cannot be written.
    """
    experiment = EXPERIMENTS[name]
    published = dataclasses.replace(setup_of(name, "paper"), seeds=setup.seeds)
    is_published = setup == published
    setup = dataclasses.replace(setup, recipe=workspace.recipe)
    entries = experiment.entries(setup)
    story = table_report.Story(
        title=experiment.TITLE,
        what=_what(setup, entries),
        command=command,
        measures=getattr(experiment, "MEASURES", table_report.TEST_ACCURACY),
        claims=experiment.claims(setup),
        paper=experiment.PAPER if is_published else None,
        notes=[
            *([] if is_published else [_OTHER_DATA]),
            *([experiment.NOTE] if hasattr(experiment, "NOTE") else []),
        ],
        draw=_drawing(experiment, setup),
        study=_study(experiment, workspace),
    )
    return table_report.run(story, entries, workspace, output, jobs, progress)


def _drawing(experiment, setup):
    """An experiment's own figure, or None."""
    if not hasattr(experiment, "figure"):
        return None
    return lambda frame, summary: experiment.figure(frame, summary, setup)


def _study(experiment, workspace):
    """An experiment's look at its runs' networks, or None."""
    if not hasattr(experiment, "study"):
        return None
    return lambda frame: experiment.study(frame, workspace)


def _what(setup, entries):
    recipe = setup.recipe
    examples = "all" if recipe.examples is None else f"{recipe.examples:,}"
    return (
        f"Dataset {setup.dataset}, {examples} training examples; taught by "
        f"{_teachers(entries)}; students {recipe.epochs} epochs, "
        f"seeds {', '.join(map(str, setup.seeds))}. Every number is of the last epoch, and the "
        "test set was read once a run."
    )


def _teachers(entries):
    """Who is at the beginning of every chain."""
    teachers = [teacher for entry in entries for teacher in entry.cell.teachers]
    texts = [
        f"{teacher.model} ({teacher.recipe.epochs} epochs on hard labels, seed {teacher.seed})"
        if isinstance(teacher, Cell)
        else teacher
        for teacher in teachers
        if not getattr(teacher, "teachers", ())
    ]
    return ", ".join(dict.fromkeys(texts))
