"""What is to be trained, before anything is known about where and when: one cell of a table."""

import dataclasses
from typing import ClassVar

from keras_logitkd import model_specs
from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.features import Objective
from keras_logitkd.model_specs import name_of
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.storage.schema import Described


@dataclasses.dataclass(frozen=True)
class Cell(Described):
    """One run: a network, its objective, and the teachers that have to be there before.

    Equal cells are one run. A chain is a cell whose teacher is a cell that has a teacher.

    Args:
        model: specification of the network, see `model_specs`; None where only the teachers
            matter. Paths in it become absolute.
        teachers: cells, or paths of .keras files; the logits of several are averaged. Defaults to
            none: hard labels.
        loss: text of an `Objective`: a distillation loss, feature methods, or
            both; None on hard labels.
        alpha: weight of the distillation loss, a number or the text of a schedule. Defaults to 1,
            which a method without one needs.
        seed: of the initial weights and the order. Defaults to 0.
        noise: a `LabelNoise` of the training labels. Defaults to None: as they are.
        views: epoch e uses view e mod `views`. Defaults to None: a new view in every epoch.
        recipe: a `Recipe`. Defaults to None: that of the `Workspace`.
        size: side in pixels of the network's own images, to which the views are resized for it.
            Defaults to None: that of the views.

    Raises:
        ValueError: If there is a loss without a teacher or the other way round, if there is no such
            loss, option or model, or if alpha does not stay in [0, 1].
    """

    model: str | None
    teachers: tuple["Cell | str", ...] = ()
    loss: str | None = None
    alpha: float | str = 1.0
    seed: int = 0
    noise: LabelNoise | None = None
    views: int | None = None
    recipe: Recipe | None = None
    size: int | None = None

    ALWAYS: ClassVar = (
        *("model", "teachers", "loss", "alpha", "seed", "noise", "views", "recipe"),
    )

    def __post_init__(self):
        if bool(self.teachers) != (self.loss is not None):
            raise ValueError(
                "`loss` and `teachers` go together. "
                f"Received: loss={self.loss!r} with {len(self.teachers)} teacher(s)"
            )
        if self.loss is not None:
            Objective.parse(self.loss, self.alpha).check()
        if self.model is not None:
            object.__setattr__(self, "model", model_specs.parse(self.model).text)
        if self.size is not None and self.size < 1:
            raise ValueError(f"`size` must be at least 1. Received: size={self.size}")

    @property
    def teacher_cells(self):
        """The teachers that are cells rather than files."""
        return tuple(teacher for teacher in self.teachers if isinstance(teacher, Cell))

    def settled(self, recipe_of):
        """Returns the cell, and its teachers, with everything said that defaults leave open.

        Only then are two cells of one run equal.

        Args:
            recipe_of: function that returns the `Recipe` of a cell.
        """
        teachers = tuple(
            teacher.settled(recipe_of) if isinstance(teacher, Cell) else teacher
            for teacher in self.teachers
        )
        alpha = self.alpha if teachers else 1.0
        return dataclasses.replace(self, teachers=teachers, alpha=alpha, recipe=recipe_of(self))

    @property
    def label(self):
        """A short name for people, such as `wrn-16-2 kl:4 (from wrn-28-4) seed 0`."""
        names = [name_of(getattr(teacher, "model", teacher)) for teacher in self.teachers]
        source = f" (from {', '.join(names)})" if names else ""
        noise = f" {self.noise.label}" if self.noise else ""
        return f"{name_of(self.model)} {self.loss or 'ce'}{source}{noise} seed {self.seed}"


def cell_of(column, model, teachers=(), **fields):
    """Returns the cell of a table's column.

    Args:
        column: `"ce"` for hard labels, where teachers do not count; else a loss.
        model: specification of the network.
        teachers: cells or files.
        **fields: other fields of the `Cell`.
    """
    taught = {} if column == "ce" else {"teachers": tuple(teachers), "loss": column}
    return Cell(model, **taught, **fields)
