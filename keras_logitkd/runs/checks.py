"""What would keep cells from running, found before any of them is trained or written."""

from keras_logitkd.data.class_weights import weights_of
from keras_logitkd.features import Objective
from keras_logitkd.runs.inputs import teachers
from keras_logitkd.runs.inputs.models import normalization_of
from keras_logitkd.runs.inputs.noisy_labels import NoisyLabels


def check_cells(cells, workspace):
    """Refuses settled cells that do not fit the data of a `Workspace`.

    Raises:
        ValueError: If a recipe asks for more examples than there are, its mean is of other
            channels, a noise matrix or class weights are of other classes, a stage of a loss would
            never begin, or a teacher's file does not fit.
    """
    dataset, labels = workspace.dataset, workspace.dataset.train.labels
    given, recipes = dataset.validation, {cell.recipe for cell in cells}
    parts = {recipe: recipe.split(labels, given)[0] for recipe in recipes}
    for recipe, part in parts.items():
        if recipe.mean is not None and recipe.std is not None:
            normalization_of(recipe, dataset)
        if recipe.class_weight is not None:
            weights_of(recipe.class_weight, labels[part], tuple(dataset.class_names))
    for noise, recipe in {(cell.noise, cell.recipe) for cell in cells if cell.noise}:
        NoisyLabels.draw(noise, labels, parts[recipe], dataset.num_classes)
    for loss, recipe in {(cell.loss, cell.recipe) for cell in cells if cell.loss}:
        Objective.parse(loss).check_epochs(recipe.epochs)
    files = {
        (teacher, cell.recipe.augmentation.output_shape(dataset.image_shape))
        for cell in cells
        for teacher in cell.teachers
        if teacher not in cell.teacher_cells
    }
    for file, shape in files:
        teachers.from_file(file, dataset, shape, workspace.cache)
