import numpy as np
import pytest
from scipy import stats

from keras_logitkd.features import pkt


def numpy_loss(teacher, student):
    def probabilities(features):
        rows = features / np.linalg.norm(features, axis=1, keepdims=True)
        similarities = (rows @ rows.T + 1) / 2
        return similarities / similarities.sum(axis=1, keepdims=True)

    p_t, p_s = probabilities(teacher), probabilities(student)
    return np.mean(p_t * np.log((p_t + 1e-7) / (p_s + 1e-7)))


def test_value_and_gradient(agrees, draw):
    agrees(pkt.pkt_loss, numpy_loss, draw(5, 2), draw(5, 3, seed=1))


def test_value_near_equality(draw):
    # The plain form loses all digits here: logarithms of about 2 that differ by 1e-3.
    teacher = draw(5, 3)
    student = teacher + 0.005 * draw(5, 3, seed=1)
    wide = teacher.astype(float), student.astype(float)
    assert float(pkt.pkt_loss(teacher, student)) == pytest.approx(numpy_loss(*wide), rel=1e-3)
    assert numpy_loss(*wide) < 1e-5


def test_rows_sum_to_one(draw):
    probabilities = pkt.similarity_probabilities(draw(6, 3)).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert probabilities.min() >= 0


def test_zero_where_equal_and_never_negative(draw):
    for seed in range(20):
        teacher, student = draw(6, 4, seed=seed), draw(6, 3, seed=100 + seed)
        assert float(pkt.pkt_loss(teacher, student)) > 0
        assert float(pkt.pkt_loss(teacher, teacher)) == pytest.approx(0, abs=1e-7)


def test_scale_and_rotation_do_not_count(draw):
    teacher, student = draw(6, 8), draw(6, 5, seed=1)
    expected = float(pkt.pkt_loss(teacher, student))
    turned = student @ stats.ortho_group.rvs(5, random_state=0).astype(np.float32)
    scaled = student * np.float32([[1], [2], [30], [0.1], [5], [1e-3]])
    assert float(pkt.pkt_loss(teacher, turned)) == pytest.approx(expected, rel=1e-4)
    assert float(pkt.pkt_loss(teacher, scaled)) == pytest.approx(expected, rel=1e-4)


def test_opposite_vectors(value_and_gradients):
    features = np.float32([[1, 0], [-1, 0]])
    value, _, gradient = value_and_gradients(pkt.pkt_loss, features, -2 * features)
    assert float(value) == pytest.approx(0, abs=1e-7)
    assert np.isfinite(gradient).all()
