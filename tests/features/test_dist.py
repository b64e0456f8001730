import numpy as np
import pytest

from keras_logitkd.features import dist


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def numpy_loss(teacher, student, tau=4.0):
    p_t, p_s = softmax(teacher / tau), softmax(student / tau)

    def distance(rows):
        return np.mean([1 - np.corrcoef(t, s)[0, 1] for t, s in rows])

    between = distance(zip(p_t, p_s, strict=True))
    within = distance(zip(p_t.T, p_s.T, strict=True))
    return tau**2 * (between + within)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_value_and_gradient(agrees, draw, tau):
    agrees(
        lambda t, s: dist.dist_loss(t, s, tau),
        lambda t, s: numpy_loss(t, s, tau),
        2 * draw(6, 5),
        2 * draw(6, 5, seed=1),
    )


def test_zero_where_equal(draw):
    logits = draw(6, 5)
    assert abs(float(dist.dist_loss(logits, logits))) < 1e-5


def test_affine_change_of_probabilities_does_not_count(draw):
    p_t, p_s = softmax(draw(6, 5)), softmax(draw(6, 5, seed=1))
    scale, offset = 1 + draw(6, 1, seed=2) ** 2, draw(6, 1, seed=3)
    np.testing.assert_allclose(
        dist.correlation_distance(p_t, scale * p_s + offset, axis=1),
        dist.correlation_distance(p_t, p_s, axis=1),
        rtol=1e-4,
    )
    logits_t, logits_s = draw(6, 5), draw(6, 5, seed=1)
    changed = dist.dist_loss(logits_t, 3 * logits_s)
    assert abs(float(changed - dist.dist_loss(logits_t, logits_s))) > 0.01


def test_each_part_is_bounded():
    matrix = np.float32([[1, 0], [0, 1]])
    for axis in (0, 1):
        np.testing.assert_allclose(
            dist.correlation_distance(matrix, 1 - matrix, axis), 2, rtol=1e-6
        )


@pytest.mark.parametrize("axis", [0, 1])
def test_constant_rows_and_columns(value_and_gradients, axis):
    matrix = np.random.default_rng(0).uniform(size=(4, 3)).astype(np.float32)
    constant = matrix.copy()
    constant[(slice(None), 1) if axis == 0 else 1] = 0.1
    for teacher, student, expected in ((constant, matrix, 0), (matrix, constant, 1)):
        value, _, gradient = value_and_gradients(
            lambda t, s: dist.correlation_distance(t, s, axis), teacher, student
        )
        assert value[1] == expected
        assert np.isfinite(gradient).all()
        assert not gradient[(slice(None), 1) if axis == 0 else 1].any()


def test_one_example_has_no_spread_within_classes(value_and_gradients, draw):
    teacher, student = draw(1, 5), draw(1, 5, seed=1)
    value, _, gradient = value_and_gradients(dist.dist_loss, teacher, student)
    p_t, p_s = softmax(teacher / 4.0)[0], softmax(student / 4.0)[0]
    np.testing.assert_allclose(value, 16 * (1 - np.corrcoef(p_t, p_s)[0, 1]), rtol=1e-4)
    assert np.isfinite(gradient).all()
