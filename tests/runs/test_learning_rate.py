import keras
import numpy as np
import pytest

from keras_logitkd.runs.learning_rate import LearningRateDrops, make_optimizer
from keras_logitkd.runs.spec.recipes import Recipe


def torch_sgd(weight, gradients, rates, momentum, nesterov):
    """PyTorch's SGD as its documentation defines it, in float64."""
    buffer = None
    for gradient, rate in zip(gradients, rates, strict=True):
        buffer = gradient if buffer is None else momentum * buffer + gradient
        step = gradient + momentum * buffer if nesterov else buffer
        weight = weight - rate * step
    return weight


@pytest.mark.parametrize("nesterov", [True, False])
def test_updates_across_drops_are_pytorchs(nesterov):
    recipe = Recipe(epochs=6, learning_rate=0.1, lr_drops=(0.34, 0.67), nesterov=nesterov)
    gradients = np.random.default_rng(1).normal(size=(6, 5))
    weight = keras.Variable(np.ones(5, "float32"))
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(make_optimizer(recipe), loss="mse")
    callback = LearningRateDrops(recipe)
    callback.set_model(model)
    model.optimizer.build([weight])
    rates = []
    for epoch, gradient in enumerate(gradients):
        callback.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate))
        model.optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient), weight)])
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-6)
    expected = torch_sgd(np.ones(5), gradients, rates, recipe.momentum, nesterov)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=2e-6)


def test_drops_under_loss_scaling_reach_the_inner_optimizer():
    recipe = Recipe(epochs=2, learning_rate=0.1, lr_drops=(0.5,))
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.LossScaleOptimizer(make_optimizer(recipe))
    model.compile(optimizer, loss="mse")
    callback = LearningRateDrops(recipe)
    callback.set_model(model)
    callback.on_epoch_begin(1)
    assert float(optimizer.inner_optimizer.learning_rate) == pytest.approx(0.01, rel=1e-6)
