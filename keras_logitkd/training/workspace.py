"""Training and distilling by name: what the runs of one job share, and how they depend."""

import dataclasses
import os
from collections.abc import Callable

from keras_logitkd.data import catalog
from keras_logitkd.data.dataset import Dataset, split_validation
from keras_logitkd.training import fit
from keras_logitkd.training import teachers as teachers_by_name
from keras_logitkd.training.logit_cache import LogitCache
from keras_logitkd.training.recipes import Recipe, recipe_for
from keras_logitkd.training.run_directory import RunDirectory
from keras_logitkd.training.settings import RunSettings
from keras_logitkd.training.teacher_logits import TeacherLogits


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is done.

    Args:
        directory: its `RunDirectory`.
        result: the final numbers, as in result.json.
        teachers: its `Teacher`s; none on hard labels.
    """

    directory: RunDirectory
    result: dict
    teachers: tuple = ()


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Data, recipe, seed and place that several runs share.

    Args:
        dataset: a `Dataset`.
        recipe: the `Recipe` of what is trained; a teacher by name has its own.
        runs_dir: where the run directories are.
        seed: of initial weights and order. Defaults to 0.
        views: epoch e uses view e mod `views`. Defaults to None: a new view in every epoch.
        data_dir: where the dataset came from, for the record.
        cache: a `LogitCache` for the teachers' logits. Defaults to None: teachers run in the step.
        resume: whether unfinished runs are continued. Defaults to False: they begin again.
        progress: function from a run's label and its number of training examples to a Keras
            callback. Defaults to None: silence.
    """

    dataset: Dataset
    recipe: Recipe
    runs_dir: str
    seed: int = 0
    views: int | None = None
    data_dir: str | None = None
    cache: LogitCache | None = None
    resume: bool = False
    progress: Callable | None = None

    def train(self, model, name=None):
        """Trains a zoo model on hard labels, or finds the finished run.

        Args:
            model: zoo name.
            name: of the run directory. Defaults to one made from the settings.

        Returns:
            A `Run`.

        Raises:
            ValueError: As `fit.run` does.
        """
        return self._run(self._settings(model), name)

    def distill(self, student, teacher=None, loss="mse", alpha=1.0, name=None, teacher_epochs=None):
        """Distils into a zoo model; a teacher by name is trained first where it is not yet.

        Args:
            student: zoo name.
            teacher: zoo names and .keras files, separated by commas. Defaults to the recipe's.
            loss: as `losses.get` reads it. Defaults to `"mse"`.
            alpha: weight of the distillation loss. Defaults to 1.
            name: of the run directory. Defaults to one made from the settings.
            teacher_epochs: epochs of a teacher by name. Defaults to its recipe's.

        Returns:
            A `Run`.

        Raises:
            ValueError: As `fit.run` and `teachers.resolve` do.
        """
        teacher = teacher or self.recipe.teacher
        settings = self._settings(student, loss=loss, alpha=alpha, teacher=teacher)
        teachers = self._teachers(settings, teacher_epochs)
        identities = tuple(member.identity for member in teachers)
        return self._run(dataclasses.replace(settings, teachers=identities), name, teachers)

    def store_logits(self, teacher=None, teacher_epochs=None):
        """Computes all logits that a distillation with this recipe reads, where they are missing.

        Args:
            teacher, teacher_epochs: as for `distill`.

        Returns:
            The `LogitStore` of the training views.

        Raises:
            ValueError: If there is no room, or as `teachers.resolve` does.
        """
        teacher = teacher or self.recipe.teacher
        settings = self._settings(model=None, teacher=teacher)
        train, held_out = split_validation(self.dataset.train.labels, self.recipe.validation)
        teachers = self._teachers(settings, teacher_epochs)
        logits = TeacherLogits(teachers, self.dataset, train, settings, self.cache)
        logits.fill_for(0, self.recipe.epochs)
        if len(held_out):
            logits.of(self.dataset.train, held_out)
        logits.of(self.dataset.test)
        return logits.store

    def _teachers(self, settings, epochs):
        return teachers_by_name.resolve(
            settings.teacher,
            self.dataset,
            settings,
            self.runs_dir,
            epochs=epochs,
            resume=self.resume,
            progress=self._callbacks,
        )

    def _settings(self, model, **fields):
        return RunSettings(
            model=model,
            dataset=_absolute(self.dataset.name),
            recipe=self.recipe,
            fingerprint=self.dataset.fingerprint(),
            seed=self.seed,
            views=self.views,
            data_dir=self.data_dir,
            logit_dtype=self.cache.dtype if self.cache and fields else "float32",
            **fields,
        )

    def _run(self, settings, name, teachers=()):
        directory = RunDirectory(self.runs_dir, settings.default_name() if name is None else name)
        result = fit.run(
            settings,
            self.dataset,
            directory,
            teachers=teachers,
            cache=self.cache,
            resume=self.resume,
            callbacks=self._callbacks(settings),
        )
        return Run(directory, result, tuple(teachers))

    def _callbacks(self, settings):
        if self.progress is None:
            return []
        examples, _ = split_validation(self.dataset.train.labels, settings.recipe.validation)
        return [self.progress(f"{settings.model} {settings.objective}", len(examples))]

    def distillation(self, student, teacher=None, teacher_epochs=None):
        """Returns (settings, teachers) of a distillation by mse, without running it.

        Args:
            student, teacher, teacher_epochs: as for `distill`.

        Raises:
            ValueError: As `teachers.resolve` does.
        """
        teacher = teacher or self.recipe.teacher
        settings = self._settings(student, loss="mse", alpha=1.0, teacher=teacher)
        teachers = self._teachers(settings, teacher_epochs)
        identities = tuple(member.identity for member in teachers)
        return dataclasses.replace(settings, teachers=identities), tuple(teachers)

    def validate(self, settings, teachers, directory, epochs=None):
        """Trains as `distill` does, in a directory of its own, without the test set.

        Args:
            settings, teachers: as `distillation` returns them.
            directory, epochs: as for `fit.validate`, which says what is returned and raised.
        """
        callbacks = self._callbacks(settings)
        return fit.validate(
            settings, self.dataset, directory, teachers, self.cache, epochs, callbacks
        )


def _absolute(spec):
    """A dataset's specification that means the same from every working directory."""
    kind, _, path = spec.partition(":")
    path = os.path.abspath(os.path.expanduser(path))
    return f"{kind}:{path}" if kind in ("npz", "folder") else spec


def open_workspace(dataset, runs_dir, data_dir=None, recipe_fields=None, **fields):
    """Loads a dataset and settles its recipe.

    Args:
        dataset: specification as `catalog.load` takes it.
        runs_dir: where the run directories are.
        data_dir: where TFDS datasets are. Defaults to TFDS's own directory.
        recipe_fields: fields that replace the recipe's; None as a value leaves its own.
        **fields: other fields of the `Workspace`.

    Returns:
        A `Workspace`.

    Raises:
        ValueError: If there is no such dataset, or a field is out of range.
    """
    data = catalog.load(dataset, data_dir)
    recipe = recipe_for(dataset, data.image_shape).replace(**(recipe_fields or {}))
    return Workspace(data, recipe, runs_dir, data_dir=data_dir, **fields)
