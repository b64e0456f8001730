import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

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


def test_places_are_rows():
    # The draws of case 8 in shared/cases/outputs.md: X and Y come first.
    rng = np.random.default_rng(0)
    rng.normal(size=(96, 8))
    rng.integers(0, 3, 96)
    teacher, student = (rng.normal(size=(4, 6, 5, 3)).astype(np.float32) for _ in range(2))
    found = float(dist.dist_loss(teacher, student))
    assert found == pytest.approx(33.10, abs=0.005)
    flat = teacher.reshape(120, 3), student.reshape(120, 3)
    assert found == float(dist.dist_loss(*flat))
    assert found == pytest.approx(numpy_loss(*(rows.astype(float) for rows in flat)), rel=1e-5)


def weighted_loss(teacher, student, weight, tau=4.0):
    """DIST of rows, each with a weight; columns by NumPy's weighted covariance."""
    p_t, p_s = softmax(teacher.astype(float) / tau), softmax(student.astype(float) / tau)
    between = np.mean(
        [w * (1 - np.corrcoef(t, s)[0, 1]) for w, t, s in zip(weight, p_t, p_s, strict=True)]
    )
    within = []
    for t, s in zip(p_t.T, p_s.T, strict=True):
        covariance = np.cov(t, s, aweights=weight)
        within.append(1 - covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    return tau**2 * (between + np.mean(within))


def test_weights_and_masks_of_places(agrees, draw):
    weight, mask = np.abs(draw(3, 4, seed=2)), np.ones((3, 4), bool)
    mask[1], mask[0, 1] = False, False
    teacher, student = 2 * draw(3, 4, 5), 2 * draw(3, 4, 5, seed=1)

    def reference(weight, keep):
        return lambda t, s: weighted_loss(t[keep], s[keep], weight[keep])

    every = np.ones_like(mask)
    agrees(
        lambda t, s: dist.dist_loss(t, s, weight=weight), reference(weight, every), teacher, student
    )
    agrees(
        lambda t, s: dist.dist_loss(t, s, mask=mask, weight=weight),
        reference(weight, mask),
        teacher,
        student,
    )
    rest = dist.dist_loss(teacher[mask], student[mask])
    assert float(dist.dist_loss(teacher, student, mask=mask)) == pytest.approx(
        float(rest), rel=1e-5
    )


@hypothesis.given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(0, 3), min_size=3))
@hypothesis.settings(max_examples=20)
def test_whole_weights_are_repetition(seed, counts):
    hypothesis.assume(sum(count > 0 for count in counts) > 1)
    rng = np.random.default_rng(seed)
    t, s = (softmax(rng.normal(size=(len(counts), 4))).astype(np.float32) for _ in range(2))
    weights = np.float32(counts)[:, None]
    found = dist.correlation_distance(t, s, axis=0, weights=weights)
    repeated = dist.correlation_distance(
        np.repeat(t, counts, axis=0), np.repeat(s, counts, axis=0), axis=0
    )
    np.testing.assert_allclose(found, repeated, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [1e4, np.inf, np.nan])
def test_places_that_do_not_count_have_no_influence(value_and_gradients, draw, value):
    teacher, student = draw(3, 4, 5), draw(3, 4, 5, seed=1)
    mask = np.ones((3, 4), bool)
    mask[1], mask[2, 3] = False, False
    results = []
    for changed in (teacher, np.where(mask[..., None], teacher, value)):
        ours = np.where(mask[..., None], student, changed)
        results.append(
            value_and_gradients(lambda t, s: dist.dist_loss(t, s, mask=mask), changed, ours)
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(results[0][2][~mask], 0)
    assert float(dist.dist_loss(teacher, student, mask=np.zeros((3, 4), bool))) == 0


def test_logits_that_do_not_fit_are_refused(draw):
    with pytest.raises(ValueError, match="with the same examples and the same classes"):
        dist.dist_loss(draw(4, 1), draw(4, 5))
    with pytest.raises(ValueError, match="needs at least 2 classes"):
        dist.dist_loss(draw(4, 1), draw(4, 1))
