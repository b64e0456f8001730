"""Teachers by name: a zoo model that the recipe trains once, or a model file."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable

from keras_logitkd import zoo
from keras_logitkd.logit_store import model_fingerprint
from keras_logitkd.training import fit
from keras_logitkd.training.models import check_fits, load_model
from keras_logitkd.training.recipes import recipe_for
from keras_logitkd.training.run_directory import RunDirectory
from keras_logitkd.training.settings import RunSettings

# A teacher is trained by its dataset's recipe, whatever the student's schedule is, but it must see
# the same images: it shares the fields that say what an example looks like and which are held out.
SHARED_FIELDS = ("pad", "flip", "resized_crop", "validation", "mean", "std")


_FILE_IDENTITY = "sha256:"


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher that is not necessarily trained or loaded yet.

    Args:
        label: how to name it to people.
        identity: what a student's settings record: the name of its run, or the file's hash.
        file: of the trained model.
        prepare: trains it, if that was not done yet.
        load: prepares it and returns the model, from raw pixels to logits.
        result: returns the final numbers of its run, or None for a file or an unfinished run.
    """

    label: str
    identity: str
    file: pathlib.Path
    prepare: Callable
    load: Callable
    result: Callable

    def fingerprint(self):
        """Returns the fingerprint of its architecture and weights, training it if need be."""
        self.prepare()
        return model_fingerprint(self.file)

    @property
    def is_file(self):
        """Whether it is a model file, which loads without training."""
        return self.identity.startswith(_FILE_IDENTITY)


def resolve(spec, dataset, student_settings, runs_dir, epochs=None, resume=False, progress=None):
    """Returns the teachers that a specification names.

    Args:
        spec: zoo names and .keras files, separated by commas.
        dataset: the `Dataset` of the student.
        student_settings: the student's `RunSettings`.
        runs_dir: where a zoo model's run is looked for and kept.
        epochs: epochs of a zoo model. Defaults to the recipe's.
        resume: whether to continue a teacher's unfinished run. Defaults to False.
        progress: function from the teacher's `RunSettings` to callbacks for its training.

    Returns:
        A list of `Teacher`.

    Raises:
        ValueError: If a name is neither a model nor a file.
    """
    teachers = []
    for part in spec.split(","):
        part = part.strip()
        if is_file(part):
            teachers.append(_from_file(part, dataset, student_settings))
        else:
            zoo.parse_name(part)
            settings = _teacher_settings(part, dataset, student_settings, epochs)
            teachers.append(_from_zoo(settings, dataset, runs_dir, resume, progress))
    return teachers


def is_file(part):
    """Whether a teacher's specification is meant as a file rather than a zoo name."""
    return part.endswith((".keras", ".h5")) or "/" in part or pathlib.Path(part).is_file()


def _teacher_settings(name, dataset, student, epochs):
    shared = {field: getattr(student.recipe, field) for field in SHARED_FIELDS}
    recipe = dataclasses.replace(recipe_for(student.dataset, dataset.image_shape), **shared)
    return RunSettings(
        model=name,
        dataset=student.dataset,
        recipe=recipe.replace(epochs=epochs),
        fingerprint=student.fingerprint,
        view_seed=student.view_seed,
        data_dir=student.data_dir,
    )


def _from_zoo(settings, dataset, runs_dir, resume, progress):
    directory = RunDirectory(runs_dir, settings.default_name())
    file = directory.model_file("train")

    @functools.cache
    def prepare():
        callbacks = progress(settings) if progress else ()
        fit.run(settings, dataset, directory, resume=resume, callbacks=callbacks)

    def load():
        prepare()
        return load_model(file)

    return Teacher(settings.model, directory.name, file, prepare, load, directory.read_result)


def _from_file(path, dataset, student):
    @functools.cache
    def load():
        model = load_model(path)
        shape = student.recipe.augmentation.output_shape(dataset.image_shape)
        check_fits(model, dataset, shape, f"Teacher {path}")
        return model

    load()  # A file that does not fit is refused before anything is trained or written.
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Teacher(
        label=str(path),
        identity=f"{_FILE_IDENTITY}{digest}",
        file=pathlib.Path(path),
        prepare=lambda: None,
        load=load,
        result=lambda: None,
    )
