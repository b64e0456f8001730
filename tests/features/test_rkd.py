import numpy as np
import pytest
from scipy import stats

from keras_logitkd.features import rkd

LOSSES = [rkd.distance_loss, rkd.angle_loss]


def huber(x):
    return x**2 / 2 if abs(x) < 1 else abs(x) - 0.5


def numpy_distance_loss(teacher, student):
    def relative(points):
        table = np.array([[np.linalg.norm(a - b) for b in points] for a in points])
        return table / np.mean(table[table > 0])

    return np.mean([huber(x) for x in (relative(student) - relative(teacher)).ravel()])


def numpy_angle_loss(teacher, student):
    def cosines(points):
        n = len(points)
        table = np.zeros((n, n, n))
        for i, j, k in np.ndindex(n, n, n):
            if i not in (j, k):
                a, b = points[j] - points[i], points[k] - points[i]
                table[i, j, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        return table

    return np.mean([huber(x) for x in (cosines(student) - cosines(teacher)).ravel()])


def test_distances_value_and_gradient(agrees, draw):
    agrees(rkd.distance_loss, numpy_distance_loss, draw(5, 4), draw(5, 2, seed=1))


def test_angles_value_and_gradient(agrees, draw):
    agrees(rkd.angle_loss, numpy_angle_loss, draw(5, 4), draw(5, 2, seed=1))


def test_a_triangle_by_hand():
    # Sides 3, 4, 5 (mean 4) against an equilateral one: relative sides 3/4, 1, 5/4 against 1.
    right = np.float32([[0, 0], [3, 0], [0, 4]])
    equal = np.float32([[0, 0], [1, 0], [0.5, 0.75**0.5]])
    assert float(rkd.distance_loss(right, equal)) == pytest.approx(4 * (1 / 32) / 9, rel=1e-5)
    # Cosines of the angles 0, 3/5 and 4/5 against 1/2, each twice; the others are 1.
    cosines = 2 * (0.5**2 + 0.1**2 + 0.3**2) / 2
    assert float(rkd.angle_loss(right, equal)) == pytest.approx(cosines / 27, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_translation_rotation_and_scale_do_not_count(draw, loss):
    teacher, student = draw(6, 8), draw(6, 5, seed=1)
    turned = student @ stats.ortho_group.rvs(5, random_state=0).astype(np.float32)
    moved = 20 * turned + draw(1, 5, seed=2)
    assert float(loss(teacher, moved)) == pytest.approx(float(loss(teacher, student)), rel=1e-4)
    assert float(loss(student, moved)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("equal", [slice(0, 2), slice(None)])
def test_identical_rows(value_and_gradients, draw, loss, equal):
    teacher, student = draw(5, 4), draw(5, 4, seed=1)
    student[equal] = student[0]
    value, _, gradient = value_and_gradients(loss, teacher, student)
    assert np.isfinite(value)
    assert value > 0
    assert np.isfinite(gradient).all()


def test_far_distances_are_counted_linearly():
    # Relative distances of three points: two near each other and one far, against the reverse.
    teacher, student = np.float32([[0], [1], [1000]]), np.float32([[0], [999], [1000]])
    value = rkd.distance_loss(teacher, student)
    assert float(value) == pytest.approx(numpy_distance_loss(teacher, student), rel=1e-5)
    assert float(value) > 2 * 2 * 0.5 / 9
