"""The paper's tables and figures by name."""

import dataclasses
import functools

from keras_logitkd.experiments import registry, setups, table_report
from keras_logitkd.runs.spec.cell import Cell

_OTHER_DATA = "The paper's own numbers are of other data or networks, and therefore not shown."


def setup_of(name, scale, **changes):
    """Returns the `Setup` of an experiment.

    Args:
        name: of `registry.EXPERIMENTS`.
        scale: of `setups.SCALES`.
        **changes: fields of the `Setup` that replace the scale's; None leaves its own.

    Raises:
        ValueError: If a model is not one of the zoo.
    """
    setup = registry.get(name).setups.get(scale, setups.SETUPS[scale])
    given = {field: value for field, value in changes.items() if value is not None}
    setup = dataclasses.replace(setup, **given)
    setups.check_models(setup)
    return setup


def with_fields(setup, fields):
    """Returns a `Setup` with other fields of the recipe."""
    return dataclasses.replace(setup, fields=fields)


def reproduce(name, setup, workspace, output, jobs=1, progress=None, command=""):
    """Runs an experiment and writes table.csv, report.md and figure.png, or its own pictures.

    Result and errors are those of `table_report.run`.

    Args:
        name: of `registry.EXPERIMENTS`.
        setup: a `Setup`.
        workspace: the `Workspace` of its dataset and of the students' recipe.
        output: directory of the files; it is created.
        jobs, progress: as for `table_report.run`.
        command: how to run it again, for report.md. Defaults to nothing.
    """
    experiment = registry.get(name)
    published = dataclasses.replace(setup_of(name, "paper"), seeds=setup.seeds)
    is_published = setup == published
    setup = dataclasses.replace(setup, recipe=workspace.recipe)
    entries = experiment.entries(setup)
    story = table_report.Story(
        title=experiment.title,
        what=_what(setup, entries),
        command=command,
        measures=experiment.measures,
        claims=experiment.claims(setup),
        paper=experiment.paper if is_published else None,
        notes=[note for note in ("" if is_published else _OTHER_DATA, experiment.note) if note],
        draw=experiment.figure and functools.partial(experiment.figure, setup=setup),
        study=experiment.study and functools.partial(experiment.study, workspace=workspace),
    )
    return table_report.run(story, entries, workspace, output, jobs, progress)


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
