import numpy as np
import pytest

from keras_logitkd.features import ft


def numpy_loss(teacher, student, p):
    def unit(x):
        return x.ravel() / np.sqrt(np.sum(x**2))

    pairs = zip(teacher, student, strict=True)
    return np.array([np.mean(np.abs(unit(s) - unit(t)) ** p) for t, s in pairs])


@pytest.mark.parametrize("p", [1, 2])
def test_value_and_gradient(agrees, draw, p):
    agrees(
        lambda t, s: ft.factor_loss(t, s, p),
        lambda t, s: numpy_loss(t, s, p),
        draw(3, 4, 4, 5),
        draw(3, 4, 4, 5, seed=1),
    )


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("factor", [1e-5, 0.3, 1e5])
def test_positive_scale_does_not_count(draw, p, factor):
    teacher, student = draw(3, 4, 4, 5), draw(3, 4, 4, 5, seed=1)
    expected = ft.factor_loss(teacher, student, p)
    np.testing.assert_allclose(ft.factor_loss(teacher, factor * student, p), expected, rtol=1e-5)
    np.testing.assert_allclose(ft.factor_loss(factor * teacher, student, p), expected, rtol=1e-5)
    np.testing.assert_allclose(ft.factor_loss(teacher, factor * teacher, p), 0, atol=1e-7)
    assert np.all(ft.factor_loss(teacher, -teacher, p).numpy() > 1e-3)


@pytest.mark.parametrize("p", [1, 2])
def test_reconstruction(agrees, draw, p):
    agrees(
        lambda t, s: ft.reconstruction_loss(t, s, p),
        lambda t, s: np.mean(np.abs(t - s) ** p, axis=(1, 2, 3)),
        draw(3, 4, 4, 5),
        draw(3, 4, 4, 5, seed=1),
    )


def test_unknown_power(draw):
    with pytest.raises(ValueError, match=r"`p` must be 1 or 2. Received: p=3"):
        ft.factor_loss(draw(1, 2), draw(1, 2), p=3)
