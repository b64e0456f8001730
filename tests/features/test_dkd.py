import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_logitkd.features import dkd
from keras_logitkd.networks import places

LABELS = np.array([0, 3, 2, 4])


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def numpy_parts(teacher, student, tau=4.0, labels=LABELS):
    p_t, p_s = softmax(teacher / tau), softmax(student / tau)
    target, others = [], []
    for t, s, y in zip(p_t, p_s, labels, strict=True):
        target.append(t[y] * np.log(t[y] / s[y]) + (1 - t[y]) * np.log((1 - t[y]) / (1 - s[y])))
        t, s = np.delete(t, y), np.delete(s, y)
        t, s = t / t.sum(), s / s.sum()
        others.append(np.sum(t * np.log(t / s)))
    return np.array(target), np.array(others)


@pytest.mark.parametrize("tau", [1.0, 4.0])
@pytest.mark.parametrize(("target", "others"), [(1, 0), (0, 1), (1, 8)])
def test_value_and_gradient(agrees, draw, tau, target, others):
    def reference(teacher, student):
        tckd, nckd = numpy_parts(teacher, student, tau)
        return tau**2 * (target * tckd + others * nckd)

    agrees(
        lambda t, s: dkd.dkd_loss(t, s, LABELS, tau, target, others),
        reference,
        3 * draw(4, 5),
        3 * draw(4, 5, seed=1),
    )


@hypothesis.given(seed=st.integers(0, 2**31), size=st.floats(0.1, 20), tau=st.floats(0.5, 20))
@hypothesis.settings(max_examples=30)
def test_the_parts_make_up_the_divergence(seed, size, tau):
    rng = np.random.default_rng(seed)
    teacher, student = (rng.normal(size=(4, 5)).astype(np.float32) * size for _ in range(2))
    tckd, nckd = dkd.decoupled_divergences(teacher, student, LABELS, tau)
    log_t, log_s = (
        z.astype(float) / tau - np.log(np.sum(np.exp(z.astype(float) / tau), axis=1, keepdims=True))
        for z in (teacher, student)
    )
    p_target = np.exp(log_t)[np.arange(4), LABELS]
    divergence = np.sum(np.exp(log_t) * (log_t - log_s), axis=1)
    np.testing.assert_allclose(
        tckd + (1 - p_target) * nckd, divergence, rtol=1e-4, atol=1e-6 * max(1, size / tau)
    )


def test_zero_where_equal_and_shift_invariant(draw):
    teacher, student = draw(4, 5), draw(4, 5, seed=1)
    shift = 10 * draw(4, 1, seed=2)
    np.testing.assert_allclose(dkd.dkd_loss(teacher, teacher + shift, LABELS), 0, atol=1e-4)
    np.testing.assert_allclose(
        dkd.dkd_loss(teacher, student + shift, LABELS),
        dkd.dkd_loss(teacher, student, LABELS),
        rtol=1e-4,
    )


def test_the_target_logit_does_not_reach_the_other_classes(value_and_gradients, draw):
    def others(teacher, student):
        return dkd.decoupled_divergences(teacher, student, LABELS)[1]

    teacher, student = draw(4, 5), draw(4, 5, seed=1)
    value, _, gradient = value_and_gradients(others, teacher, student)
    np.testing.assert_array_equal(gradient[np.arange(4), LABELS], 0)
    student[np.arange(4), LABELS] += 7
    np.testing.assert_array_equal(others(teacher, student), value)


def test_certain_networks_give_finite_numbers(value_and_gradients):
    teacher, student = np.float32([[1e3, 0, 0]]), np.float32([[0, 0, 1e3]])
    value, _, gradient = value_and_gradients(
        lambda t, s: dkd.dkd_loss(t, s, [0], 4.0), teacher, student
    )
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(value, 16 * (250 + 8 * (125 - np.log(2))), rtol=1e-5)


def test_two_classes_have_no_others(draw):
    _, nckd = dkd.decoupled_divergences(draw(3, 2), draw(3, 2, seed=1), [0, 1, 0])
    np.testing.assert_array_equal(nckd, 0)


def test_one_hot_labels_are_labels(draw):
    teacher, student = draw(4, 5), draw(4, 5, seed=1)
    expected = dkd.dkd_loss(teacher, student, LABELS)
    for labels in (np.eye(5, dtype=np.float32)[LABELS], LABELS[:, None]):
        np.testing.assert_array_equal(dkd.dkd_loss(teacher, student, labels), expected)


def test_classes_are_the_last_axis_and_labels_those_of_the_places(draw):
    teacher, student = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    labels = np.arange(24).reshape(2, 3, 4) % 5
    found = dkd.dkd_loss(teacher, student, labels)
    flat = teacher.reshape(24, 5), student.reshape(24, 5)
    np.testing.assert_array_equal(found, np.reshape(dkd.dkd_loss(*flat, labels.ravel()), (2, 3, 4)))
    for given in (labels[..., None], np.eye(5)[labels], labels.astype(np.uint8)):
        np.testing.assert_array_equal(dkd.dkd_loss(teacher, student, given), found)


def test_ignored_labels_are_finite_and_leave_the_others_alone(value_and_gradients, draw):
    teacher, student = 3 * draw(4, 6, 5), 3 * draw(4, 6, 5, seed=1)
    labels, mask = np.arange(24).reshape(4, 6) % 5, np.arange(24).reshape(4, 6) % 7 > 1
    ignored = np.where(mask, labels, 255).astype(np.uint8)

    def masked(teacher, student):
        return places.mean(dkd.dkd_loss(teacher, student, ignored), mask)

    value, _, gradient = value_and_gradients(masked, teacher, student)
    expected = np.mean(dkd.dkd_loss(teacher[mask], student[mask], labels[mask]))
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[~mask], 0)
    for unknown in (ignored.astype(int), np.where(mask, labels, -1)):
        assert np.isfinite(dkd.dkd_loss(teacher, student, unknown)).all()


def test_what_does_not_fit_is_refused(draw):
    with pytest.raises(ValueError, match=r"Labels must be class numbers of shape \(4,\)"):
        dkd.dkd_loss(draw(4, 5), draw(4, 5), np.eye(6)[LABELS])
    with pytest.raises(ValueError, match="with the same examples and the same classes"):
        dkd.dkd_loss(draw(4, 1), draw(4, 5), LABELS)
    with pytest.raises(ValueError, match="needs at least 2 classes"):
        dkd.dkd_loss(draw(4, 1), draw(4, 1), np.zeros(4, int))
