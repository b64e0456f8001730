"""The stages of a run: what is trained how, and from which of its epochs on."""

import dataclasses

from keras_logitkd.features import Objective
from keras_logitkd.features.stages import Stage
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.stretches import OneTraining


@dataclasses.dataclass(frozen=True)
class RunStage:
    """A stage with its place in a run.

    Args:
        stage: what is trained, a `Stage`.
        recipe: how, with the stage's own epochs and learning rate.
        first_epoch: how many epochs of the run come before it.
        is_main: whether it is the last one, which is validated.
        head_only: whether only the last layer of the student trains. Defaults to False.
    """

    stage: Stage
    recipe: Recipe
    first_epoch: int
    is_main: bool
    head_only: bool = False

    def start(self, position):
        """Returns the (epoch, step) of this stage where a run goes on, or None if it is over.

        `position` is that of the run. The end of a stage belongs to it: its distiller wrote that.
        """
        epoch, step = position[0] - self.first_epoch, position[1]
        if epoch > self.recipe.epochs or (epoch == self.recipe.epochs and step):
            return None
        return (epoch, step) if epoch >= 0 else (0, 0)

    def contains(self, position):
        """Whether what is found at a position of the run was written in this stage."""
        epoch, step = position[0] - self.first_epoch, position[1]
        return (epoch, step) > (0, 0) and self.start(position) is not None


def run_stages(settings):
    """Returns the `RunStage`s of a run of these `RunSettings`, a list.

    The main stage has the epochs of the recipe; those of the stages before it are added to them,
    and before all of them comes that of the last layer alone, where the recipe wants one.
    """
    recipe = settings.recipe
    if settings.loss is None:
        stages = [Stage("main", "mse", 0.0)]
    else:
        stages = Objective.parse(settings.loss, settings.alpha).training(
            recipe.epochs, seed=settings.seed, weight_decay=recipe.weight_decay
        )
    found, first = [], 0
    if recipe.head_epochs:
        found.append(_head_stage(stages[-1], recipe))
        first = recipe.head_epochs
    for stage in stages:
        own = recipe.replace(epochs=stage.epochs)
        if stage.learning_rate is not None:
            own = own.replace(learning_rate=stage.learning_rate, lr_drops=())
        found.append(RunStage(stage, own, first, is_main=stage is stages[-1]))
        first += own.epochs
    return found


def _head_stage(main, recipe):
    """The stage in which the last layer alone trains, on the logits or labels of the main one."""
    loss, alpha = (main.logit_loss, main.alpha) if main.logit_loss is not None else ("mse", 0.0)
    stage = Stage("head", loss, alpha, epochs=recipe.head_epochs)
    rate = recipe.head_learning_rate
    own = recipe.replace(epochs=recipe.head_epochs, learning_rate=rate)
    own = own.replace(lr_drops=())
    return RunStage(stage, own, 0, is_main=False, head_only=True)


class WholeRun(OneTraining):
    """Callbacks to which the stages of a run are one training, with epochs that go on.

    Args:
        callbacks: list of `keras.callbacks.Callback`.
        epochs: of all stages together.
    """

    def __init__(self, callbacks, epochs):
        self.epochs, self.stage = epochs, None
        super().__init__(callbacks)

    def enter(self, stage):
        """Says which `RunStage` trains from now on."""
        self.stage, self.is_last = stage, stage.is_main

    def set_params(self, params):
        super().set_params({**params, "epochs": self.epochs})

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch + self.stage.first_epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch + self.stage.first_epoch, logs)
