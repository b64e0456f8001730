"""At which scale an experiment runs: datasets, networks and epochs, one row of data each."""

import dataclasses

from keras_logitkd import model_specs
from keras_logitkd.runs.inputs.teachers import is_file
from keras_logitkd.runs.spec.cell import Cell, cell_of
from keras_logitkd.runs.spec.recipes import Recipe

SCALES = ("smoke", "small", "paper")


@dataclasses.dataclass(frozen=True)
class Setup:
    """What the experiments are made of at one scale.

    Args:
        dataset: as the catalog takes it.
        teacher: zoo name or .keras file.
        students: zoo names; the first is the student of the experiments with one.
        medium: zoo name of the network between teacher and student in a chain.
        ensemble: zoo names of the teachers that are averaged.
        fields: fields of the recipe that differ from the dataset's own.
        teacher_epochs: of the teachers. Defaults to None: the recipe's.
        init_epochs: of the first stage where a method has two. Defaults to None: its own.
        poor_epochs: after which the poorly fitted teacher of Table 4 is stopped.
        alphas, taus: the grid of Figure 3.
        noise_rates: shares of wrong labels in Figure 6.
        noise_taus: temperatures of Figure 6.
        seeds: of the students.
        recipe: the students' `Recipe`; it is set when the dataset is loaded.
    """

    dataset: str
    teacher: str
    students: tuple
    medium: str
    ensemble: tuple
    fields: dict = dataclasses.field(default_factory=dict)
    teacher_epochs: int | None = None
    init_epochs: int | None = None
    poor_epochs: int = 10
    alphas: tuple = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    taus: tuple = ("1", "3", "5", "20", "inf")
    noise_rates: tuple = (0.4, 0.8)
    noise_taus: tuple = ("0.1", "0.5", "1", "5", "20", "inf")
    seeds: tuple = (0, 1, 2)
    recipe: Recipe | None = None

    @property
    def student(self):
        """The student of the experiments with one."""
        return self.students[0]

    def taught(self, model=None, noise=None, epochs=None):
        """Returns what teaches: a network trained on hard labels, seed 0, or the file given.

        Args:
            model: zoo name or .keras file. Defaults to the setup's teacher.
            noise: a `LabelNoise`. Defaults to None.
            epochs: where training is stopped, before the learning rate has dropped. Defaults to
                None: the usual training.
        """
        model = self.teacher if model is None else model
        if is_file(model):
            return model
        recipe = self.recipe.replace(epochs=self.teacher_epochs)
        if epochs is not None:
            recipe = recipe.replace(epochs=epochs, lr_drops=())
        return Cell(model, noise=noise, recipe=recipe)

    def cell(self, column, teachers=(), model=None, **fields):
        """Returns `cell_of` these arguments; the model defaults to the setup's student."""
        return cell_of(column, model or self.student, teachers, **fields)


# Minutes in all: it shows that everything works, and decides nothing.
SMOKE = Setup(
    dataset="digits",
    teacher="wrn-16-1",
    students=("wrn-10-1",),
    medium="resnet-8-1",
    ensemble=("wrn-16-1", "resnet-8-1"),
    fields={"epochs": 4},
    teacher_epochs=8,
    init_epochs=1,
    poor_epochs=1,
    alphas=(0.1, 0.5, 1.0),
    taus=("1", "5", "inf"),
    noise_taus=("0.5", "1", "20", "inf"),
)
# About an hour on two cores: 4,000 training images, so that epochs are short.
SMALL = Setup(
    dataset="fashion_mnist",
    teacher="wrn-16-2",
    students=("wrn-10-1",),
    medium="wrn-16-1",
    ensemble=("wrn-10-2", "wrn-16-1", "wrn-16-2"),
    fields={"epochs": 8, "batch_size": 64, "examples": 4000, "validation": 0.02},
    teacher_epochs=12,
    init_epochs=1,
    poor_epochs=1,
    alphas=(0.1, 0.4, 0.7, 1.0),
    noise_taus=("0.5", "1", "20", "inf"),
)
PAPER = Setup(
    dataset="cifar100",
    teacher="wrn-28-4",
    students=("wrn-16-2", "wrn-16-4", "wrn-28-2", "wrn-28-4", "wrn-40-6"),
    medium="wrn-16-4",
    ensemble=("wrn-16-4", "wrn-28-4", "wrn-40-6"),
)
IMAGENET = Setup(
    dataset="imagenet2012",
    teacher="resnet-152",
    students=("resnet-50",),
    medium="resnet-101",
    ensemble=("resnet-101", "resnet-152"),
)
SETUPS = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}


def check_models(setup):
    """Raises ValueError where a setup names a model that the zoo does not have."""
    for name in (setup.teacher, *setup.students, setup.medium, *setup.ensemble):
        model_specs.parse(name)
