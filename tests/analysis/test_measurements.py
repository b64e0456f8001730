import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax as scipy_softmax

from keras_logitkd.analysis import measurements, projection
from keras_logitkd.runs import evaluation

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(scale=3, size=(2, 50, 7)).astype("float32")
LABELS = RNG.integers(0, 6, 50)  # no example of class 6


def test_sums_distances_and_norms_example_by_example():
    sums = [sum(map(float, row)) for row in STUDENT]
    np.testing.assert_allclose(measurements.logit_sums(STUDENT), sums, rtol=1e-12)
    pairs = zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)
    distances = [sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) ** 0.5 for s, t in pairs]
    np.testing.assert_allclose(measurements.logit_distances(STUDENT, TEACHER), distances)
    norms = [sum(x * x for x in row) ** 0.5 for row in STUDENT.tolist()]
    np.testing.assert_allclose(measurements.norms(STUDENT), norms)


def test_sums_of_float16_logits_do_not_overflow():
    logits = np.full((2, 1000), 1000, "float16")
    np.testing.assert_array_equal(measurements.logit_sums(logits), [1e6, 1e6])
    assert measurements.norms(logits)[0] == pytest.approx(1000 * 1000**0.5)


def test_hindering_term_is_what_kl_inf_has_beside_the_squared_error():
    d = STUDENT.astype(np.float64) - TEACHER
    kl_inf = d.var(axis=1) / 2
    half_mse = (d**2).mean(axis=1) / 2
    hindering = measurements.hindering_terms(STUDENT, TEACHER)
    np.testing.assert_allclose(half_mse + hindering, kl_inf, rtol=1e-6)


def test_entropy_and_confidence():
    p = scipy_softmax(STUDENT.astype(np.float64), axis=1)
    expected = [-sum(x * np.log(x) for x in row) for row in p]
    np.testing.assert_allclose(measurements.entropies(STUDENT), expected, rtol=1e-6)
    np.testing.assert_allclose(measurements.confidences(STUDENT), p.max(1), rtol=1e-6)
    extreme = np.array([[1e4, 0, 0], [0, 0, 0]], "float32")
    np.testing.assert_allclose(measurements.entropies(extreme), [0, np.log(3)], rtol=1e-12)


def test_top_logit_difference():
    logits = np.array([[1, 5, 2], [4, 4, 0], [-3, -9, -2]], "float32")
    differences = measurements.top_logit_differences(logits, [1, 0, 1])
    np.testing.assert_array_equal(differences, [3, 0, -7])
    assert logits[0, 1] == 5
    with pytest.raises(ValueError, match="at least two classes"):
        measurements.top_logit_differences(logits[:, :1], [0, 0, 0])


def test_class_accuracies_and_agreement():
    accuracies = measurements.shares(*measurements.class_counts(STUDENT, LABELS))
    for label in range(6):
        mine = STUDENT[label == LABELS].argmax(1)
        assert accuracies[label] == pytest.approx(np.mean(mine == label))
    assert np.isnan(accuracies[6])
    counts, right = measurements.class_counts(STUDENT, LABELS)
    assert counts.sum() == 50
    accuracy = evaluation.classification_metrics(STUDENT, LABELS)["accuracy"]
    assert right.sum() / 50 == pytest.approx(accuracy)
    agreed = measurements.agreements(STUDENT, TEACHER).mean()
    assert agreed == pytest.approx(evaluation.agreement(STUDENT, TEACHER))


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_reliability_bins_add_up_to_the_calibration_error(cut, seed):
    rng = np.random.default_rng(seed)
    p, labels = rng.dirichlet(np.ones(5), 31), rng.integers(0, 5, 31)
    parts = [
        evaluation.reliability_bins(p[part], labels[part])
        for part in (slice(cut), slice(cut, None))
    ]
    whole = evaluation.reliability_bins(p, labels)
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-12)
    assert whole[0].sum() == 31
    error = evaluation.calibration_error(*sum(parts))
    assert error == pytest.approx(evaluation.expected_calibration_error(p, labels))


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_plane_is_orthonormal_and_keeps_the_triangle(features, seed):
    templates = np.random.default_rng(seed).normal(size=(3, features))
    plane = projection.plane_through(templates)
    np.testing.assert_allclose(plane.basis @ plane.basis.T, np.eye(2), atol=1e-9)
    corners = plane.project(templates)
    np.testing.assert_allclose(corners[0], 0, atol=1e-9)
    assert corners[1, 0] > 0
    assert abs(corners[1, 1]) < 1e-9
    assert corners[2, 1] > 0
    for a, b in ((0, 1), (1, 2), (0, 2)):
        sides = [np.linalg.norm(points[a] - points[b]) for points in (templates, corners)]
        assert sides[0] == pytest.approx(sides[1])


def test_projection_is_the_nearest_point_of_the_plane():
    rng = np.random.default_rng(1)
    templates, vectors = rng.normal(size=(3, 6)), rng.normal(size=(4, 6))
    points = projection.plane_through(templates).project(vectors)
    # Least squares over the plane's points t0 + a (t1 - t0) + b (t2 - t0), without any basis.
    sides = (templates[1:] - templates[0]).T
    for vector, point in zip(vectors, points, strict=True):
        weights, *_ = np.linalg.lstsq(sides, vector - templates[0], rcond=None)
        nearest = sides @ weights
        assert np.linalg.norm(point) == pytest.approx(np.linalg.norm(nearest))
        assert np.linalg.norm(
            point - projection.plane_through(templates).project(templates[1][None])[0]
        ) == pytest.approx(np.linalg.norm(nearest - sides[:, 0]))


def test_templates_without_a_plane_are_refused():
    with pytest.raises(ValueError, match="one line"):
        projection.plane_through([[0, 0, 1], [1, 1, 1], [3, 3, 1]])
    with pytest.raises(ValueError, match="one line"):
        projection.plane_through(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"shape \(3, features\)"):
        projection.plane_through(np.zeros((2, 4)))
