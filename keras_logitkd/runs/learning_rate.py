"""Stochastic gradient descent as the recipes mean it: PyTorch's, step by step."""

import keras


def make_optimizer(recipe):
    """Returns the recipe's SGD. The L2 term is the kernels' regularizer, not the optimizer's."""
    return keras.optimizers.SGD(
        learning_rate=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov
    )


def learning_rate_at(recipe, epoch):
    """Returns the learning rate of an epoch, counted from 0.

    It drops once the given share of the epochs is over: 0.5 and 0.75 of 200 epochs are
    after epochs 100 and 150.
    """
    drops = sum(epoch >= round(share * recipe.epochs) for share in recipe.lr_drops)
    return recipe.learning_rate * recipe.lr_drop_factor**drops


class LearningRateDrops(keras.callbacks.Callback):
    """Sets the learning rate at the beginning of each epoch.

    Keras's velocity contains the learning rate, PyTorch's momentum buffer does not. When the rate
    changes, the velocities are scaled with it, so that the updates are PyTorch's.
    """

    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        before = float(optimizer.learning_rate.numpy())
        after = learning_rate_at(self.recipe, epoch)
        if abs(after - before) <= 1e-6 * before:
            return
        optimizer.learning_rate.assign(after)
        for velocity in getattr(optimizer, "momentums", []):
            if velocity is not None:
                velocity.assign(velocity * (after / before))
