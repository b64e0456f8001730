"""Label noise: exact shares, no label flipped to itself, the same on every machine."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_logitkd.data import randomness
from keras_logitkd.data.noise import LabelNoise, apply_noise, parse_noise
from keras_logitkd.storage.errors import DataError

ROWS = ((0.5, 0.25, 0.25), (0.0, 1.0, 0.0), (0.3, 0.3, 0.4))
seeds = st.integers(-(2**40), 2**40)
rates = st.floats(0, 1, exclude_max=True)


@st.composite
def label_arrays(draw):
    """(labels, K); not every class need occur."""
    num_classes = draw(st.integers(2, 7))
    labels = draw(st.lists(st.integers(0, num_classes - 1), max_size=200))
    dtype = draw(st.sampled_from([np.uint8, np.int32, np.int64, np.uint64]))
    return np.array(labels, dtype), num_classes


@st.composite
def matrices(draw, num_classes):
    row = st.lists(st.integers(0, 20), min_size=num_classes, max_size=num_classes).filter(any)
    rows = np.array(draw(st.lists(row, min_size=num_classes, max_size=num_classes)), np.float64)
    return tuple(map(tuple, rows / rows.sum(axis=1, keepdims=True)))


@given(label_arrays(), st.sampled_from(["symmetric", "pair"]), rates, seeds)
def test_exactly_the_share_changes(case, kind, rate, seed):
    labels, num_classes = case
    before = labels.copy()
    noisy, flipped = apply_noise(LabelNoise(kind, rate, seed=seed), labels, num_classes)
    assert (noisy.dtype, flipped.dtype) == (np.int32, np.bool_)
    assert np.sum(flipped) == round(rate * len(labels))
    np.testing.assert_array_equal(flipped, noisy != labels)
    assert np.all((noisy >= 0) & (noisy < num_classes))
    np.testing.assert_array_equal(labels, before)
    if kind == "pair":
        np.testing.assert_array_equal(noisy, (before.astype(int) + flipped) % num_classes)


@given(st.data(), label_arrays(), seeds)
def test_matrix_counts_are_exact_to_one_example(data, case, seed):
    labels, num_classes = case
    before = labels.copy()
    noise = LabelNoise("matrix", matrix=data.draw(matrices(num_classes)), seed=seed)
    noisy, flipped = apply_noise(noise, labels, num_classes)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(flipped, noisy != labels)
    found = np.zeros((num_classes, num_classes), int)
    np.add.at(found, (labels, noisy), 1)
    expected = (
        np.array(noise.matrix) * np.bincount(labels.astype(int), minlength=num_classes)[:, None]
    )
    assert np.all(np.abs(found - expected) < 1)
    assert np.all(found[np.array(noise.matrix) == 0] == 0)


@given(label_arrays(), rates, rates, seeds)
def test_a_higher_rate_changes_the_same_and_more(case, one, other, seed):
    labels, num_classes = case
    low, high = sorted([one, other])
    few = apply_noise(LabelNoise("symmetric", low, seed=seed), labels, num_classes)
    many = apply_noise(LabelNoise("symmetric", high, seed=seed), labels, num_classes)
    assert np.all(many[1][few[1]])
    np.testing.assert_array_equal(many[0][few[1]], few[0][few[1]])


@pytest.mark.parametrize("seed", [0, 1, -5, 2**63])
@pytest.mark.parametrize(
    "noise",
    [LabelNoise("symmetric", 0.4), LabelNoise("pair", 0.4), LabelNoise("matrix", matrix=ROWS)],
    ids=lambda noise: noise.kind,
)
def test_the_seed_alone_decides(noise, seed):
    labels = np.arange(300) % 3
    again, other = (
        LabelNoise(noise.kind, noise.rate, noise.matrix, number) for number in (seed, seed + 1)
    )
    first = apply_noise(again, labels, 3)
    np.random.seed(3)
    second = apply_noise(again, labels, 3)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert np.sum(first[1] != apply_noise(other, labels, 3)[1]) > 60


def test_golden_values():
    """Pinned: a changed draw would change every published noise experiment."""
    labels = np.arange(24) % 3
    symmetric = apply_noise(LabelNoise("symmetric", 0.5), labels, 3)
    pair = apply_noise(LabelNoise("pair", 0.25), labels, 3)
    matrix = apply_noise(LabelNoise("matrix", matrix=ROWS), labels, 3)
    assert "".join(map(str, symmetric[0])) == "010001022012011000211120"
    assert "".join(map(str, symmetric[1].astype(int))) == "001011010000001011101111"
    assert "".join(map(str, pair[0])) == "010020012012012010010112"
    assert "".join(map(str, matrix[0])) == "111210212012012110010011"
    assert apply_noise(LabelNoise("symmetric", 0.5, seed=7), np.arange(10), 10)[0].tolist() == (
        [8, 1, 3, 4, 6, 9, 6, 7, 8, 9]
    )


def test_shares_of_the_paper_are_exact():
    labels = np.repeat(np.arange(10), 5000)
    for rate in (0.2, 0.4, 0.6, 0.8):
        flipped = apply_noise(LabelNoise("symmetric", rate), labels, 10)[1]
        assert np.sum(flipped) == round(rate * 50000)


def test_symmetric_is_uniform_over_the_other_classes():
    labels = np.repeat(np.arange(5), 4000)
    noisy, flipped = apply_noise(LabelNoise("symmetric", 0.5), labels, 5)
    found = np.zeros((5, 5))
    np.add.at(found, (labels[flipped], noisy[flipped]), 1)
    assert np.all(np.diag(found) == 0)
    off_diagonal = found[~np.eye(5, dtype=bool)]
    expected = np.sum(flipped) / 20
    # 19 degrees of freedom: 36.2 is the 99% quantile.
    assert np.sum((off_diagonal - expected) ** 2 / expected) < 36.2


def test_matrix_rounds_by_largest_remainder():
    labels = np.array([0] * 7 + [1] * 3)
    noise = LabelNoise("matrix", matrix=((0.5, 0.3, 0.2), (0.29, 0.71, 0.0), (0, 0, 1)))
    noisy, _ = apply_noise(noise, labels, 3)
    # 3.5, 2.1, 1.4 of seven: the half is the largest remainder. 0.87, 2.13 of three.
    assert np.bincount(noisy[:7], minlength=3).tolist() == [4, 2, 1]
    assert np.bincount(noisy[7:], minlength=3).tolist() == [1, 2, 0]


def test_noise_shares_no_numbers_with_order():
    order = randomness.permutation(randomness.ORDER, 0, 0, 100)
    assert not np.array_equal(order, randomness.permutation(randomness.NOISE, 0, 0, 100))


@pytest.mark.parametrize(
    ("noise", "label"),
    [
        (LabelNoise("symmetric", 0.4, seed=3), "symmetric 0.4"),
        (LabelNoise("pair", 0), "pair 0"),
        (LabelNoise("matrix", matrix=np.eye(2)), "matrix 2x2 482209"),
        (LabelNoise("matrix", matrix=np.eye(2)[::-1]), "matrix 2x2 28e98f"),
    ],
)
def test_label_and_config(noise, label):
    assert noise.label == label
    config = json.loads(json.dumps(noise.to_config()))
    assert LabelNoise.from_config(config) == noise
    assert hash(LabelNoise.from_config(config)) == hash(noise)


def test_parse(tmp_path):
    path = tmp_path / "a:b.csv"
    path.write_text("\ufeff0.5, 0.25,0.25\n0,1,0\n\n3e-1,0.3,0.4\n", encoding="utf-8")
    assert parse_noise("symmetric:0.4") == LabelNoise("symmetric", 0.4)
    assert parse_noise("pair:0.2", seed=3) == LabelNoise("pair", 0.2, seed=3)
    assert parse_noise(f"matrix:{path}", 1) == LabelNoise("matrix", matrix=ROWS, seed=1)


@pytest.mark.parametrize(
    "spec", ["", "symmetric", "symmetric:", "uniform:0.4", "0.4", "pair:x", "pair:0,4", None]
)
def test_parse_refuses_other_forms(spec):
    with pytest.raises(DataError) as caught:
        parse_noise(spec)
    assert str(caught.value) == (
        f"`noise` must be symmetric:RATE, pair:RATE or matrix:PATH.csv. Received: noise={spec!r}"
    )


@pytest.mark.parametrize("rate", ["1", "1.5", "-0.1", "nan", "inf"])
def test_parse_refuses_rates(rate):
    with pytest.raises(DataError, match="`rate` must be at least 0 and below 1. Received: rate="):
        parse_noise(f"symmetric:{rate}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,0\n", "line 1: must hold comma-separated numbers only, without a header"),
        ("1,0\n0;1\n", "line 2: must hold comma-separated numbers only"),
        ("1,0\n0,1,\n", "line 2: must hold comma-separated numbers only"),
        ("1,0\n\n1\n", "line 3: must have as many numbers as the first line, 2. Received: 1"),
        ("1,0\n", "at least 2 rows. Received: 1"),
        ("\n", "at least 2 rows. Received: 0"),
        ("1,0,0\n0,1,0\n", "must be square. Received: 2 rows, and 3 numbers in row 0"),
        ("1,0\n0.3,0.6\n", r"row 1 \(of class 1\) must sum to 1. Received: a sum of 0.9$"),
        ("1,0\n0.3,0.700002\n", r"row 1 .* must sum to 1. Received: a sum of 1.000002$"),
        ("1.5,-0.5\n0,1\n", r"row 0 \(of class 0\) must hold finite numbers >= 0. Received: -0.5"),
        ("nan,1\n0,1\n", "row 0 .* must hold finite numbers >= 0. Received: nan"),
        ("inf,1\n0,1\n", "row 0 .* must hold finite numbers >= 0. Received: inf"),
    ],
)
def test_parse_refuses_matrices(tmp_path, text, message):
    path = tmp_path / "matrix.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        parse_noise(f"matrix:{path}")
    assert "\n" not in str(caught.value)


def test_parse_refuses_files_it_cannot_read(tmp_path):
    with pytest.raises(DataError, match="Cannot read the noise matrix .*none.csv .*No such file"):
        parse_noise(f"matrix:{tmp_path / 'none.csv'}")
    with pytest.raises(DataError, match="Cannot read the noise matrix"):
        parse_noise(f"matrix:{tmp_path}")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match="Cannot read the noise matrix"):
        parse_noise(f"matrix:{tmp_path / 'binary.csv'}")


def test_rows_may_miss_one_by_rounding():
    third = LabelNoise("matrix", matrix=((0.3333333, 0.3333333, 0.3333333), *ROWS[1:]))
    labels = np.zeros(3_000_000, np.int32)
    assert np.bincount(apply_noise(third, labels, 3)[0]).tolist() == [1_000_000] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "uniform"}, "`kind` must be one of symmetric, pair, matrix. Received: 'uniform'"),
        ({"kind": "pair", "rate": 1}, "`rate` must be at least 0 and below 1. Received: rate=1"),
        ({"kind": "pair", "rate": "0.2"}, "`rate` must be .* Received: rate='0.2'"),
        ({"kind": "pair", "seed": 0.5}, "`seed` must be an integer. Received: seed=0.5"),
        ({"kind": "pair", "matrix": ROWS}, "Received: kind='pair' with it"),
        ({"kind": "matrix"}, "Received: kind='matrix' without it"),
        ({"kind": "matrix", "matrix": ROWS, "rate": 0.1}, "`rate` must be 0 .* rate=0.1"),
        ({"kind": "matrix", "matrix": [1, 2]}, "`matrix` must be rows of numbers"),
        ({"kind": "matrix", "matrix": [["a"]]}, "`matrix` must be rows of numbers"),
    ],
)
def test_label_noise_refuses(arguments, message):
    with pytest.raises(DataError, match=message):
        LabelNoise(**arguments)


@pytest.mark.parametrize("config", [{}, {"rate": 0.1}, {"kind": "pair", "rates": 0.1}])
def test_from_config_refuses(config):
    with pytest.raises(DataError, match="`config` must hold kind and at most kind, matrix, rate"):
        LabelNoise.from_config(config)


@pytest.mark.parametrize(
    ("noise", "labels", "num_classes", "message"),
    [
        (LabelNoise("pair"), np.zeros(3, int), 1, "`num_classes` must be at least 2"),
        (LabelNoise("matrix", matrix=ROWS), np.zeros(3, int), 4, "each of the 4 .* 3 rows"),
        (LabelNoise("pair"), np.zeros((3, 1), int), 2, r"int64 of shape \(3, 1\)"),
        (LabelNoise("pair"), np.zeros(3), 2, r"float64 of shape \(3,\)"),
        (LabelNoise("pair"), np.array([0, 2]), 2, "lie in 0..1. Received: labels from 0 to 2"),
        (LabelNoise("pair"), np.array([0, -1]), 2, "Received: labels from -1 to 0"),
    ],
)
def test_apply_noise_refuses(noise, labels, num_classes, message):
    with pytest.raises(DataError, match=message):
        apply_noise(noise, labels, num_classes)
