"""Training and distilling: what the runs of one job share, and how they depend."""

import dataclasses
import functools
import os
from collections.abc import Callable

from keras_logitkd import model_specs
from keras_logitkd.data import catalog, specs
from keras_logitkd.data.dataset import Dataset
from keras_logitkd.runs.directory.earlier import directory_of
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.distribution.devices import ONE_DEVICE, Devices, open_devices
from keras_logitkd.runs.inputs import teachers as teachers_by_name
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits
from keras_logitkd.runs.inputs.unlabelled import unlabelled_of
from keras_logitkd.runs.job import Job
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe, recipe_for, without_share
from keras_logitkd.runs.spec.settings import RunSettings, fingerprints_of


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is done."""

    directory: RunDirectory
    result: dict  # the final numbers, as in result.json
    teachers: tuple = ()  # `Teacher`s; none on hard labels


@dataclasses.dataclass(frozen=True)
class Workspace:
    """What several runs share: their data, what cells leave open, and how runs are done.

    A `Job` gets it whole; what of it a run depends on is written in the run's `RunSettings`.

    Args:
        dataset: a `Dataset`.
        recipe: the `Recipe` of what is trained; a teacher by name has its own.
        runs_dir: where the run directories are.
        seed: of initial weights and order. Defaults to 0.
        views: epoch e uses view e mod `views`. Defaults to None: a new view in every epoch.
        data_dir: where the dataset came from, for the record.
        cache: a `LogitCache` for the teachers' logits. Defaults to None: teachers run in the step.
        resume: whether unfinished runs are continued. Defaults to False: they begin again.
        checkpoint_steps: a checkpoint follows so many steps within an epoch, besides the one at
            its end. Defaults to None: ten minutes after the last one, on several machines only at
            the end of epochs.
        progress: function from a run's label and its number of training examples to a Keras
            callback; the chief of several machines calls it. Defaults to None: silence.
        devices: the `Devices` that runs are trained on. Defaults to one.
        student_size, teacher_size: sides in pixels of the images of students and of teachers by
            name. Default to None: those of the views.
        fine_tuning: the `Recipe` of networks that come with weights. Defaults to None: `recipe`.
        preset: name of a change to the recipes of teachers by name, see `recipes.PRESETS`. Defaults
            to `"standard"`: none.
    """

    dataset: Dataset
    recipe: Recipe
    runs_dir: str
    seed: int = 0
    views: int | None = None
    data_dir: str | None = None
    cache: LogitCache | None = None
    resume: bool = False
    checkpoint_steps: int | None = None
    progress: Callable | None = None
    devices: Devices = ONE_DEVICE
    student_size: int | None = None
    teacher_size: int | None = None
    fine_tuning: Recipe | None = None
    preset: str = "standard"

    def to_config(self):
        """Returns what another process needs to open the same workspace, as JSON types.

        `progress` is left out: it belongs to this process.
        """
        return {
            "dataset": catalog.specs_of(self.dataset),
            "runs_dir": os.path.abspath(self.runs_dir),
            "data_dir": self.data_dir and os.path.abspath(os.path.expanduser(self.data_dir)),
            "recipe": self.recipe.to_config(),
            "seed": self.seed,
            "views": self.views,
            "cache": self.cache and self.cache.to_config(),
            "resume": self.resume,
            "checkpoint_steps": self.checkpoint_steps,
            "devices": [self.devices.spec, self.devices.sync_batch_norm],
            "student_size": self.student_size,
            "teacher_size": self.teacher_size,
            "fine_tuning": self.fine_tuning and self.fine_tuning.to_config(),
            "preset": self.preset,
        }

    @classmethod
    def from_config(cls, config):
        """Opens the workspace that `to_config` described."""
        cache, devices = config["cache"], open_devices(*config["devices"])
        tuned = config["fine_tuning"]
        return cls(
            **{
                **config,
                "devices": devices,
                "dataset": catalog.load_all(*config["dataset"], data_dir=config["data_dir"]),
                "recipe": Recipe.from_config(config["recipe"]),
                "fine_tuning": tuned and Recipe.from_config(tuned),
                "cache": LogitCache(**cache) if cache else None,
            }
        )

    def run(self, cell, name=None, wait=False, announce=None):
        """Returns the `Run` of a cell: found, or trained after the teachers that are not there yet.

        Args:
            cell: a `Cell`.
            name: of the run directory. Defaults to one made from the settings.
            wait: whether to wait for another process that trains this run. Defaults to False: it
                is an error. Teachers are always waited for.
            announce: as for `Job.run`; not called for teachers. Defaults to None.

        Raises:
            ValueError: As `Job.run` and `teachers.from_file` do.
        """
        job = self.job(cell, name)
        return Run(job.directory, job.run(wait, announce), job.teachers)

    def job(self, cell, name=None):
        """Returns the `Job` of a cell, nothing of it done. Arguments are those of `run`."""
        teachers = self.teachers(cell)
        settings = self.settings(cell, teachers)
        return Job(settings, self, directory_of(self.runs_dir, settings, name), teachers)

    def train(self, model, name=None):
        """Trains a network on hard labels. Arguments, result and errors are those of `run`."""
        return self.run(self.labelled(model), name)

    def labelled(self, model):
        """Returns the `Cell` that `train` runs."""
        return Cell(model, seed=self.seed, views=self.views, size=self.student_size)

    def distill(self, student, teacher=None, loss="mse", alpha=1.0, name=None, teacher_epochs=None):
        """Returns the `Run` of a student; a teacher by name is trained first where it is not yet.

        Args:
            student: specification of the network, see `model_specs`.
            teacher: specifications, separated by commas; a .keras file teaches as it is. Defaults
                to the recipe's.
            loss: text of an `Objective`. Defaults to `"mse"`.
            alpha: weight of the distillation loss. Defaults to 1.
            name: of the run directory. Defaults to one made from the settings.
            teacher_epochs: epochs of a teacher by name. Defaults to its recipe's.

        Raises:
            ValueError: As `run` does, and if a name is neither a model nor a file.
        """
        return self.run(self.distillation(student, teacher, loss, alpha, teacher_epochs), name)

    def distillation(self, student, teacher=None, loss="mse", alpha=1.0, teacher_epochs=None):
        """Returns the `Cell` that `distill` runs. Arguments and errors are those of `distill`."""
        teachers = self.teachers_named(teacher, teacher_epochs)
        fields = {"seed": self.seed, "views": self.views, "size": self.student_size}
        return Cell(student, teachers, loss, alpha, **fields)

    def store_logits(self, teacher=None, teacher_epochs=None):
        """Computes all logits that a distillation with this recipe reads, where they are missing.

        Args:
            teacher, teacher_epochs: as for `distill`.

        Returns:
            The `LogitStore` of the training views.

        Raises:
            ValueError: If there is no room, or as `distill` does.
        """
        cell = self.distillation(None, teacher, teacher_epochs=teacher_epochs)
        teachers = self.teachers(cell)
        data = RunData(self.settings(cell, teachers), self.dataset)
        logits = TeacherLogits(teachers, data, self.cache)
        logits.fill_for(0, max(self.recipe.epochs, self.recipe.head_epochs))
        if len(data.validation_indices):
            logits.of(self.dataset.train, data.validation_indices)
        logits.of(self.dataset.test)
        return logits.store

    def teachers_named(self, spec=None, epochs=None):
        """Returns the cells and files that are named, a tuple as the `teachers` of a `Cell`.

        Args:
            spec: specifications, separated by commas. Defaults to the recipe's teacher.
            epochs: of a teacher by name. Defaults to its recipe's.

        Raises:
            ValueError: If a name is neither a model nor a file.
        """
        parts = [part.strip() for part in (spec or self.recipe.teacher).split(",")]
        return tuple(
            part if teachers_by_name.is_file(part) else self._teacher_cell(part, epochs)
            for part in parts
        )

    def _teacher_cell(self, model, epochs):
        """The cell of a teacher by name, trained on its own size of images."""
        is_pretrained = model_specs.is_pretrained(model)
        usual = {"pretrained": is_pretrained, "preset": self.preset}
        recipe = teachers_by_name.usual_recipe(self.dataset, self.recipe, epochs, **usual)
        size = self.teacher_size
        if size is not None and recipe.resized_crop is not None:
            recipe, size = recipe.replace(resized_crop=size), None
        return Cell(model, recipe=recipe, size=size)

    def teachers(self, cell):
        """Returns the `Teacher`s of a cell, none of them trained or loaded by this."""
        recipe = self.recipe_of(cell)
        return tuple(self._teacher(member, recipe) for member in cell.teachers)

    def recipe_of(self, cell):
        """Returns the `Recipe` of a cell: its own, or that for networks such as its network."""
        return cell.recipe or self.recipe_of_model(cell.model)

    def recipe_of_model(self, model):
        """Returns the `Recipe` for a network by its specification, or for None."""
        if model is None or self.fine_tuning is None or not model_specs.is_pretrained(model):
            return self.recipe
        return self.fine_tuning

    def settings(self, cell, teachers=()):
        """Returns the `RunSettings` of a cell that some `Teacher`s teach."""
        shared = {field.name: getattr(cell, field.name) for field in dataclasses.fields(Cell)}
        told = {
            "recipe": self.recipe_of(cell),
            "teachers": tuple(teacher.identity for teacher in teachers),
            "alpha": cell.alpha if teachers else 0.0,
        }
        return RunSettings(
            **{**shared, **told, **(unlabelled_of(self.dataset) if teachers else {})},
            dataset=specs.absolute(self.dataset.name),
            **fingerprints_of(self.dataset),
            logit_dtype=self.cache.dtype if self.cache and teachers else "float32",
            teacher=",".join(teacher.label for teacher in teachers) or None,
            data_dir=self.data_dir,
            model_fingerprint=cell.model and model_specs.parse(cell.model).fingerprint(),
            batch_norm_parts=self.devices.batch_norm_parts,
            devices=self.devices.label,
        )

    def _teacher(self, member, student_recipe):
        if isinstance(member, Cell):
            job = self.job(member)
            train = functools.partial(job.run, wait=True)
            return teachers_by_name.from_run(job.settings, job.directory, train, job)
        shape = student_recipe.augmentation.output_shape(self.dataset.image_shape)
        return teachers_by_name.from_file(member, self.dataset, shape, self.cache)


def open_workspace(
    dataset, runs_dir, data_dir=None, recipe_fields=None, preset="standard", **fields
):
    """Loads a dataset, settles its recipe, and returns the `Workspace`.

    Args:
        dataset: specification as `catalog.load` takes it.
        runs_dir: where the run directories are.
        data_dir: where TFDS datasets are. Defaults to TFDS's own directory.
        recipe_fields: fields that replace the recipe's; None as a value leaves its own.
        preset: name of a change to all recipes before that, see `recipes.PRESETS`. Defaults to
            `"standard"`: none.
        **fields: other fields of the `Workspace`; with `unlabelled`, the specification of images
            without labels.

    Raises:
        ValueError: If there is no such dataset, or a field is out of range.
    """
    data = catalog.load_all(dataset, fields.pop("unlabelled", None), data_dir)
    given = without_share(data, recipe_fields or {})
    sizes = [fields.get(name) for name in ("student_size", "teacher_size")]
    recipe, fine_tuning = (
        _seen_at(sizes, recipe_for(data, pretrained, preset).replace(**given), given)
        for pretrained in (False, True)
    )
    own = {"data_dir": data_dir, "fine_tuning": fine_tuning, "preset": preset}
    return Workspace(data, recipe, runs_dir, **own, **fields)


def _seen_at(sizes, recipe, given):
    """A recipe with views of the largest size that a network has, unless their size is given."""
    if recipe.resized_crop is None or given.get("resized_crop") is not None:
        return recipe
    return recipe.replace(resized_crop=max(size or recipe.resized_crop for size in sizes))
