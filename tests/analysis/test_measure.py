import tracemalloc

import numpy as np
import pytest

from keras_logitkd.analysis import measurements
from keras_logitkd.analysis.measure import AGAINST_TEACHER, MEASURES, ClassVectors, measure
from keras_logitkd.runs import evaluation

COUNT, CLASSES, FEATURES = 203, 6, 9


@pytest.fixture(scope="module")
def arrays():
    """Logits and pre-logits of two students and a teacher; the images are the examples' numbers."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(3, COUNT, CLASSES)).astype("float32")
    pre_logits = rng.normal(size=(3, COUNT, FEATURES)).astype("float32")
    return logits, pre_logits, rng.integers(0, CLASSES, COUNT)


def run(arrays, batch, **options):
    logits, pre_logits, labels = arrays

    def network(number):
        return lambda images: (pre_logits[number][images], logits[number][images])

    parts = np.split(np.arange(COUNT), range(batch, COUNT, batch))
    batches = [{"image": part, "label": labels[part]} for part in parts]
    return measure(
        {"a": network(0), "b": network(1)}, batches, CLASSES, network(2), classes=(4, 0, 1)
    )


def whole_arrays(logits, pre_logits, labels, teacher):
    return {
        "logit_sum": measurements.logit_sums(logits),
        "logit_sum_shift": measurements.logit_sums(logits) - measurements.logit_sums(teacher),
        "logit_distance": measurements.logit_distances(logits, teacher),
        "pre_logit_norm": measurements.norms(pre_logits),
        "entropy": measurements.entropies(logits),
        "top_logit_difference": measurements.top_logit_differences(logits, labels),
        "confidence": measurements.confidences(logits),
    }


@pytest.mark.parametrize("batch", [1, 64, COUNT])
def test_stream_equals_whole_arrays(arrays, batch):
    logits, pre_logits, labels = arrays
    measured, taught = run(arrays, batch)
    for number, measures in enumerate([measured["a"], measured["b"], taught]):
        expected = whole_arrays(logits[number], pre_logits[number], labels, logits[2])
        assert set(expected) == set(MEASURES)
        for name, values in expected.items():
            distribution = measures.distributions[name]
            if measures is taught and name in AGAINST_TEACHER:
                assert distribution.count == 0
                assert measures.summary()[f"{name}_mean"] is None
                continue
            assert distribution.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-12)
            assert distribution.std == pytest.approx(values.std(), rel=1e-9)
            assert distribution.histogram()[0].sum() == COUNT
            assert measures.summary()[f"{name}_mean"] == distribution.mean
        metrics = evaluation.classification_metrics(logits[number], labels)
        assert measures.accuracy == pytest.approx(metrics["accuracy"])
        assert measures.ece == pytest.approx(metrics["ece"])
        np.testing.assert_array_equal(
            measures.class_counts, measurements.class_counts(logits[number], labels)
        )
    assert measured["b"].agreement == evaluation.agreement(logits[1], logits[2])
    assert taught.agreement is None


@pytest.mark.parametrize("batch", [7, COUNT])
def test_templates_are_the_means_of_the_classes(arrays, batch):
    _, pre_logits, labels = arrays
    vectors = run(arrays, batch)[0]["b"].vectors
    expected = [pre_logits[1][labels == label].mean(0, dtype=float) for label in (4, 0, 1)]
    np.testing.assert_allclose(vectors.templates, expected, rtol=1e-12)
    for label, kept in zip((4, 0, 1), vectors.kept, strict=True):
        np.testing.assert_array_equal(kept, pre_logits[1][labels == label])


def test_few_vectors_are_kept_and_all_make_the_template():
    values = np.arange(20.0)[:, None]
    vectors = ClassVectors((0, 1), keep=3)
    for part in np.split(np.arange(20), 4):
        vectors.update(values[part], part % 2)
    assert [kept[:, 0].tolist() for kept in vectors.kept] == [[0, 2, 4], [1, 3, 5]]
    assert vectors.templates[:, 0].tolist() == [9, 10]


def test_class_without_examples_has_no_template():
    vectors = ClassVectors((0, 5))
    vectors.update(np.ones((2, 3)), np.array([0, 0]))
    with pytest.raises(ValueError, match=r"none of class \[5\]"):
        _ = vectors.templates


def test_logits_that_are_not_finite_are_named():
    logits = np.array([[0, np.nan]])
    with pytest.raises(ValueError, match="The logits of bad are not finite"):
        measure({"bad": lambda _: (None, logits)}, [{"image": None, "label": np.array([0])}], 2)


def peak_bytes(examples):
    rng = np.random.default_rng(0)

    def network(images):
        return rng.normal(size=(100, 64)).astype("float32"), rng.normal(size=(100, 50))

    batches = ({"image": None, "label": rng.integers(0, 50, 100)} for _ in range(examples // 100))
    tracemalloc.start()
    measure({"student": network}, batches, 50, network, classes=(0, 1, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_examples():
    # From 30,000 on the kept vectors, 3 x 500 x 64 of each network, are complete in both.
    assert peak_bytes(60_000) < 1.02 * peak_bytes(30_000)
