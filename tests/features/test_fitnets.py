import numpy as np

from keras_logitkd.features import fitnets


def numpy_loss(teacher, student):
    return np.array([np.mean((s - t) ** 2) for t, s in zip(teacher, student, strict=True)])


def test_value_and_gradient(agrees, draw):
    agrees(fitnets.hint_loss, numpy_loss, draw(3, 4, 4, 5), draw(3, 4, 4, 5, seed=1))


def test_zero_only_where_equal(draw):
    features = draw(3, 4, 4, 5)
    np.testing.assert_array_equal(fitnets.hint_loss(features, features), 0)
    np.testing.assert_allclose(fitnets.hint_loss(features, features + 2), 4, rtol=1e-5)


def test_repeating_the_batch_changes_nothing(draw):
    teacher, student = draw(3, 4, 4, 5), draw(3, 4, 4, 5, seed=1)
    once = np.mean(fitnets.hint_loss(teacher, student))
    twice = np.mean(
        fitnets.hint_loss(np.tile(teacher, (2, 1, 1, 1)), np.tile(student, (2, 1, 1, 1)))
    )
    np.testing.assert_allclose(twice, once, rtol=1e-6)
