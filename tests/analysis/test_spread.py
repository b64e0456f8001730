import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from keras_logitkd.analysis.spread import BINS, Distribution, common_width


def of(*batches):
    distribution = Distribution()
    for batch in batches:
        distribution.update(batch)
    return distribution


numbers = st.floats(-(2.0**100), 2.0**100, width=32)


@given(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=6).filter(any))
def test_any_batches_give_what_all_at_once_do(batches):
    values = np.concatenate(batches).astype(np.float64)
    streamed, whole = of(*batches), of(values)
    for a, b in zip(streamed.histogram(), whole.histogram(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert streamed.count == len(values)
    assert (streamed.low, streamed.high) == (values.min(), values.max())
    scale = np.abs(values).max() + 1e-300
    assert streamed.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-12 * scale)
    assert streamed.std == pytest.approx(values.std(), rel=1e-6, abs=1e-7 * scale)


@given(st.lists(numbers, min_size=1, max_size=200))
def test_histogram_is_numpys_over_the_same_edges(values):
    counts, edges = of(values).histogram()
    assert 1 <= len(counts) <= BINS
    assert counts.sum() == len(values)
    assert edges[0] <= min(values) < edges[1]
    assert edges[-2] <= max(values) < edges[-1]
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        assert count == sum(low <= value < high for value in values)


def test_half_of_the_bins_at_least_cover_the_range():
    values = np.random.default_rng(0).normal(size=1000)
    counts, _ = of(values).histogram()
    assert len(counts) > BINS / 2 - 2


def test_spread_far_from_zero_is_kept():
    values = 1e6 + np.random.default_rng(0).normal(size=1000)
    assert of(*np.split(values, 10)).std == pytest.approx(values.std(), rel=1e-9)


def test_equal_numbers_have_one_bin():
    distribution = of([3.0] * 5, [3.0])
    counts, edges = distribution.histogram()
    assert counts.tolist() == [6]
    assert edges[0] == 3
    assert (distribution.mean, distribution.std) == (3, 0)
    x, density = distribution.density()
    assert np.trapezoid(density, x) == pytest.approx(1, abs=0.01)


def test_coarser_bins_are_merged_ones():
    one, other = of(np.linspace(-1, 1, 50)), of(np.linspace(-40, 90, 50))
    width = common_width([one, other], most=80)
    assert width == 2
    counts, edges = one.histogram(width)
    assert counts.tolist() == [25, 25]
    assert edges.tolist() == [-2, 0, 2]
    assert sum(other.histogram(width)[0]) == 50


@pytest.mark.parametrize("width", [3.0, 2.0**-40, 0.0])
def test_other_widths_are_refused(width):
    with pytest.raises(ValueError, match="power of two"):
        of([0.0, 1.0]).histogram(width)


def test_density_is_that_of_scipy_with_the_same_kernel():
    values = np.random.default_rng(0).gamma(3, size=5000)
    x, density = of(values).density()
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
    spread = min(values.std(), stats.iqr(values) / 1.34)
    kernel = 0.9 * spread * len(values) ** -0.2
    expected = stats.gaussian_kde(values, kernel / values.std(ddof=1))(x)
    np.testing.assert_allclose(density, expected, atol=0.01 * expected.max())


def test_quantiles_are_exact_to_a_bin():
    values = np.random.default_rng(0).normal(size=5000)
    distribution = of(values)
    for share in (0.25, 0.5, 0.9):
        assert abs(distribution.quantile(share) - np.quantile(values, share)) < distribution.width


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        of([1.0, bad])


def test_nothing_has_no_histogram():
    empty = of([])
    assert (empty.count, np.isnan(empty.mean), np.isnan(empty.std)) == (0, True, True)
    with pytest.raises(ValueError, match="at least one number"):
        empty.histogram()
