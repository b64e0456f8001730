"""Students of teachers that learned from wrong labels, by objective."""

import dataclasses
import math

from keras_logitkd.analysis import plots
from keras_logitkd.experiments.sweep import Entry
from keras_logitkd.features.objective import of_column
from keras_logitkd.runs.spec.cell import Cell, cell_of

TEACHER = "teacher"
MEASURES = {
    "test_accuracy": "Test accuracy (%)",
    "train_clean_accuracy": "Training images predicted as their true label (%)",
    "memorisation": "Wrongly labelled training images predicted as the wrong label (%)",
}


def noise_entries(student, teachers, noises, columns, seeds, views=None, size=None):
    """Returns the cells: for each noise its teachers, and students by each objective.

    Args:
        student: specification of the network.
        teachers: tuple of cells on clean labels, which are trained on the noisy ones instead, or
            of files, which stay as they are.
        noises: list of `LabelNoise`.
        columns: list of `"ce"` or losses as `losses.get` reads them.
        seeds: of the students.
        views: as in `Cell`.
        size: of the students' images, as in `Cell`.

    Returns:
        List of `Entry`; rows are noises, columns objectives.

    Raises:
        ValueError: If there are no noises, columns or seeds, or no such loss.
    """
    for name, values in (("noises", noises), ("columns", columns), ("seeds", seeds)):
        if not values:
            raise ValueError(f"`{name}` must not be empty. Received: none")
    entries = []
    for noise in noises:
        common = {"noise": noise, "views": views}
        taught = tuple(
            dataclasses.replace(member, noise=noise) if isinstance(member, Cell) else member
            for member in teachers
        )
        entries += [
            Entry(noise.label, TEACHER if len(taught) == 1 else f"{TEACHER} {member.model}", member)
            for member in taught
            if isinstance(member, Cell)
        ]
        entries += [
            Entry(
                noise.label,
                column,
                cell_of(column, student, taught, seed=seed, size=size, **common),
            )
            for column in columns
            for seed in seeds
        ]
    return entries


def draw(frame, summary, title):
    """Draws the accuracy against the temperature, a line for each noise."""
    columns = summary.index.get_level_values("column")
    if all(math.isnan(_temperature(column)) for column in columns):
        return plots.bars(summary, title, runs=frame)
    lines = {}
    for noise, cells in summary.groupby(level="row", sort=False):
        cells = cells.droplevel("row").reset_index()
        lines[noise] = cells.assign(tau=cells["column"].map(_temperature))
    return plots.curves(lines, title=title, panel_title="label noise")


def _temperature(column):
    """The temperature of a column, nan where it has none."""
    found = of_column(column)
    return math.nan if found is None or found.temperature is None else found.temperature
