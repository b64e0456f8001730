"""What `train` and `distill` share: data, settings, progress, and the final table."""

import dataclasses
import logging

from keras_logitkd.cli import tables
from keras_logitkd.cli.progress import TrainingProgress
from keras_logitkd.data import catalog
from keras_logitkd.data.dataset import split_validation
from keras_logitkd.training import fit, teachers
from keras_logitkd.training.recipes import recipe_for
from keras_logitkd.training.run_directory import RunDirectory
from keras_logitkd.training.settings import RunSettings

RESULT_COLUMNS = (
    "role",
    "model",
    "test accuracy",
    "parameters",
    "agreement",
    "seconds",
    "saved as",
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A distillation that is done: its directory, final numbers and teachers."""

    directory: RunDirectory
    result: dict
    teachers: list


@dataclasses.dataclass(frozen=True)
class Session:
    """Runs of one command: they share data, recipe, seed and runs directory."""

    dataset: object
    recipe: object
    common: dict
    runs_dir: str
    resume: bool

    def train(self, model, name=None):
        """Trains a zoo model on hard labels. Returns (directory, result)."""
        settings = RunSettings(model=model, recipe=self.recipe, **self.common)
        return self._run(settings, name)

    def distill(self, student, teacher, loss, alpha, name=None, teacher_epochs=None):
        """Distils into a zoo model, training teachers by name first. Returns an `Outcome`."""
        settings = RunSettings(
            model=student, recipe=self.recipe, loss=loss, alpha=alpha, **self.common
        )
        ensemble = teachers.resolve(
            teacher,
            self.dataset,
            settings,
            self.runs_dir,
            epochs=teacher_epochs,
            resume=self.resume,
            progress=self._progress,
        )
        identities = tuple(member.identity for member in ensemble)
        settings = dataclasses.replace(settings, teachers=identities)
        loaders = [member.load for member in ensemble]
        directory, result = self._run(settings, name, loaders)
        return Outcome(directory, result, ensemble)

    def _run(self, settings, name, loaders=()):
        directory = RunDirectory(self.runs_dir, name or settings.default_name())
        result = fit.run(
            settings,
            self.dataset,
            directory,
            teachers=loaders,
            resume=self.resume,
            callbacks=self._progress(settings),
        )
        return directory, result

    def _progress(self, settings):
        kept, _ = split_validation(self.dataset.train.labels, settings.recipe.validation)
        return [TrainingProgress(f"{settings.model} {settings.objective}", len(kept))]


def open_session(given, recipe_fields):
    """Loads the data and settles the recipe.

    Args:
        given: the command's options.
        recipe_fields: recipe fields from the command line; None leaves the recipe's own.

    Returns:
        A `Session`.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("keras_logitkd").setLevel(logging.INFO)
    dataset = catalog.load(given["dataset"], given["data_dir"])
    recipe = recipe_for(given["dataset"], dataset.image_shape).replace(**recipe_fields)
    common = {name: given[name] for name in ("dataset", "data_dir", "seed", "views")}
    return Session(dataset, recipe, common, given["runs_dir"], given["resume"])


def result_row(role, model, result, directory):
    """A row of the final table for a run."""
    return (
        role,
        model,
        tables.percent(result["test_accuracy"]),
        tables.integer(result["parameters"]),
        tables.percent(result.get("test_agreement")),
        tables.seconds(result["seconds"]),
        str(directory.path / result["model_file"]),
    )


def teacher_row(teacher, student_result):
    """A row of the final table for a teacher; of a file only its accuracy is known."""
    result = teacher.result()
    if result is None:
        accuracy = student_result["teacher_test_accuracy"]
        return ("teacher", teacher.label, tables.percent(accuracy), "-", "-", "-", teacher.label)
    return (
        "teacher",
        teacher.label,
        tables.percent(result["test_accuracy"]),
        tables.integer(result["parameters"]),
        "-",
        tables.seconds(result["seconds"]),
        teacher.identity,
    )
