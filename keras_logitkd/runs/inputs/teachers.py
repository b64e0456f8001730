"""Teachers: runs that are trained when they are needed, and model files."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

from keras_logitkd import model_specs
from keras_logitkd.model_specs.files import FileSpec
from keras_logitkd.runs.inputs.models import fitted, load_model
from keras_logitkd.runs.spec.recipe_fields import shared_with_teachers
from keras_logitkd.runs.spec.recipes import recipe_for
from keras_logitkd.storage import hashing

FILE_IDENTITY = "sha256:"


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
        job: the `Job` that trains it. Defaults to None: it is trained, or a file.
    """

    label: str
    identity: str
    file: pathlib.Path
    prepare: Callable
    load: Callable
    result: Callable
    job: object = None

    def fingerprint(self):
        """Returns the fingerprint of its architecture and weights, training it if need be."""
        self.prepare()
        return hashing.model_fingerprint(self.file)

    @property
    def is_file(self):
        """Whether it is a model file, which loads without training."""
        return self.identity.startswith(FILE_IDENTITY)


def is_file(part):
    """Whether a teacher's specification is a file, which teaches with the weights that it has.

    Raises:
        ValueError: If it names no network, or no file that is there.
    """
    spec = model_specs.parse(part)
    return isinstance(spec, FileSpec) and not spec.is_fresh


def usual_recipe(dataset, student_recipe, epochs=None, pretrained=False, preset="standard"):
    """Returns the recipe of a teacher by name: the dataset's own, on the student's images.

    It is trained by that, whatever the student's schedule is, but it must see the same images.

    `epochs` are the teacher's; they default to those of the dataset's recipe, which is another one
    where it comes with weights (`pretrained`), changed by the `preset`.
    """
    shared = {field: getattr(student_recipe, field) for field in shared_with_teachers()}
    recipe = dataclasses.replace(recipe_for(dataset, pretrained, preset), **shared)
    return recipe.replace(epochs=epochs)


def from_run(settings, directory, train, job=None):
    """Returns the teacher that is a run of ours; `train` trains it, or finds it trained."""
    file, prepare = directory.model_file(settings.kind), functools.cache(train)

    def load():
        prepare()
        return load_model(file)

    name = model_specs.name_of(settings.model)
    label = name if settings.loss is None else f"{name} {settings.objective}"
    return Teacher(label, directory.name, file, prepare, load, directory.read_result, job)


def from_file(path, dataset, input_shape, cache=None):
    """Returns the teacher that is a model file, from raw pixels to logits.

    A file that does not fit is refused at once, before anything is trained or written; one whose
    logits for this dataset are stored already has been found to fit, and is not loaded for that.

    Args:
        path: of the file.
        dataset: the `Dataset` of the student.
        input_shape: (height, width, channels) of the images as the pipeline gives them.
        cache: a `LogitCache`, or None.

    Raises:
        ValueError: If the file cannot be loaded or does not fit the dataset.
    """

    @functools.cache
    def load():
        return fitted(load_model(path), dataset, input_shape, f"Teacher {path}")

    def is_known():
        split = dataset.train.fingerprint()
        return pathlib.Path(path).is_file() and cache.knows(hashing.model_fingerprint(path), split)

    if cache is None or not is_known():
        load()
    return Teacher(
        label=str(path),
        identity=f"{FILE_IDENTITY}{hashing.of_file(path)}",
        file=pathlib.Path(path),
        prepare=lambda: None,
        load=load,
        result=lambda: None,
    )
