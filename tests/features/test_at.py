import numpy as np
import pytest

from keras_logitkd.features import at


def numpy_map(features):
    energy = np.sum(features**2, axis=-1).reshape(len(features), -1)
    return energy / np.linalg.norm(energy, axis=1, keepdims=True)


def numpy_loss(teacher, student, mode="code"):
    difference = numpy_map(student) - numpy_map(teacher)
    if mode == "code":
        return np.mean(difference**2, axis=1)
    return np.linalg.norm(difference, axis=1) / 2


@pytest.mark.parametrize("mode", ["code", "paper"])
def test_value_and_gradient(agrees, draw, mode):
    agrees(
        lambda t, s: at.attention_loss(t, s, mode),
        lambda t, s: numpy_loss(t, s, mode),
        draw(3, 4, 5, 6),
        draw(3, 4, 5, 2, seed=1),
    )


def test_maps_have_length_one(draw):
    maps = at.attention_map(draw(3, 4, 5, 6)).numpy()
    assert maps.shape == (3, 20)
    np.testing.assert_allclose(np.linalg.norm(maps, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("mode", ["code", "paper"])
@pytest.mark.parametrize("factor", [-1e-4, 0.3, 1e4])
def test_scale_signs_and_channel_order_do_not_count(draw, mode, factor):
    teacher, student = draw(3, 4, 4, 5), draw(3, 4, 4, 5, seed=1)
    signs = np.sign(draw(3, 4, 4, 1, seed=2))
    changed = factor * signs * student[..., [4, 2, 0, 1, 3]]
    np.testing.assert_allclose(
        at.attention_loss(teacher, changed, mode),
        at.attention_loss(teacher, student, mode),
        rtol=1e-5,
    )


def test_bounded_by_two_over_positions():
    teacher, student = np.zeros((2, 1, 2, 3, 1), np.float32)
    teacher[0, 0, 0], student[0, 1, 2] = 1, 7
    assert at.attention_loss(teacher, student).numpy() == pytest.approx(2 / 6)
    assert at.attention_loss(teacher, student, "paper").numpy() == pytest.approx(np.sqrt(2) / 2)


def test_the_larger_map_is_averaged(draw):
    teacher, student = draw(2, 8, 8, 3), draw(2, 4, 4, 3, seed=1)
    pooled = teacher.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(
        at.attention_loss(teacher, student), numpy_loss(pooled, student), rtol=1e-5
    )
    np.testing.assert_allclose(
        at.attention_loss(student, teacher), numpy_loss(pooled, student), rtol=1e-5
    )


def test_unknown_mode(draw):
    with pytest.raises(ValueError, match=r"`mode` must be one of .* Received: mode='norm'"):
        at.attention_loss(draw(1, 2, 2, 1), draw(1, 2, 2, 1), "norm")
