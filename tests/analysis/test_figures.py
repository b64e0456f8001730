"""The numbers in the figures, not their pixels."""

import types

import numpy as np
import pytest
from matplotlib.colors import to_hex

from keras_logitkd.analysis import drawing, figures, measurements, picture, plots
from keras_logitkd.analysis.analysis import Analysis, Student, analyze
from keras_logitkd.analysis.measure import measure

RNG = np.random.default_rng(0)
COUNT, CLASSES = 400, 4
LABELS = np.arange(COUNT) % CLASSES
TEACHER = RNG.normal(size=(COUNT, CLASSES)) + 2 * np.eye(CLASSES)[LABELS]
VECTORS = RNG.normal(size=(COUNT, 5)) + 4 * np.eye(5)[LABELS]
LOGITS = {
    "ce": TEACHER + RNG.normal(size=(COUNT, CLASSES)),
    "kl:3": TEACHER + 3.0,
    "mse": TEACHER + 0.1 * RNG.normal(size=(COUNT, CLASSES)),
}
TEXTS = {"ce": "hard labels (CE)", "kl:3": "KL τ = 3", "mse": "MSE"}


def make(keys=tuple(LOGITS), baseline="hard labels (CE)", teacher=True, classes=(1, 3, 0)):
    def network(logits):
        return lambda _: (VECTORS, logits)

    students, taught = measure(
        {key: network(LOGITS[key]) for key in keys},
        [{"image": None, "label": LABELS}],
        CLASSES,
        network(TEACHER) if teacher else None,
        classes,
    )

    def student(key):
        settings = types.SimpleNamespace(seed=0, objective=key)
        rows = [{"epoch": 1, "accuracy": 0.5, "val_accuracy": 0.25}, {"epoch": 2, "accuracy": 0.75}]
        run = types.SimpleNamespace(settings=settings, rows=lambda: rows)
        return Student(run, TEXTS[key], students[key])

    return Analysis(
        dataset="digits",
        split="test",
        class_names=("zero", "one", "two", "three"),
        classes=classes,
        students=[student(key) for key in keys],
        baseline=baseline,
        teacher=taught,
        teacher_label="wrn-16-1",
    )


ANALYSIS = make()


def test_histograms_of_logit_sums_hold_the_counts():
    figure = figures.logit_sums(ANALYSIS)
    sums = {"teacher wrn-16-1": TEACHER.sum(1)}
    sums |= {TEXTS[key]: logits.sum(1) for key, logits in LOGITS.items()}
    assert [axes.texts[0].get_text() for axes in figure.axes] == list(sums)
    widths = set()
    for axes, values in zip(figure.axes, sums.values(), strict=True):
        (stairs,) = axes.patches
        heights, edges, _ = stairs.get_data()
        counts, _ = np.histogram(values, edges)
        np.testing.assert_allclose(heights, 100 * counts / COUNT)
        assert heights.sum() == pytest.approx(100)
        widths |= set(np.diff(edges))
    assert len(widths) == 1


@pytest.mark.parametrize("name", ["logit_distance", "pre_logit_norm", "top_logit_difference"])
def test_density_lines_are_those_of_the_networks(name):
    (axes,) = figures.densities(ANALYSIS, name).axes
    lines = {line.get_label(): line for line in axes.lines}
    expected = [TEXTS[key] for key in LOGITS]
    if name != "logit_distance":
        expected.insert(0, "teacher wrn-16-1")
    assert list(lines) == expected
    for line in lines.values():
        x, y = line.get_data()
        assert np.trapezoid(y, x) == pytest.approx(1, abs=0.01)
    x, y = lines["KL τ = 3"].get_data()
    if name == "logit_distance":
        # Three added to each of four logits.
        assert np.trapezoid(x * y, x) == pytest.approx(6, abs=0.02)
    elif name == "top_logit_difference":
        mean = measurements.top_logit_differences(LOGITS["kl:3"], LABELS).mean()
        assert np.trapezoid(x * y, x) == pytest.approx(mean, abs=0.02)


def test_density_of_what_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="name='logit_distance'"):
        figures.densities(make(teacher=False), "logit_distance")


def test_projection_shows_the_examples_of_three_classes():
    figure = figures.projections(ANALYSIS)
    assert [axes.get_title() for axes in figure.axes] == ["teacher wrn-16-1", *TEXTS.values()]
    templates = np.array([VECTORS[label == LABELS].mean(0) for label in (1, 3, 0)])
    for axes in figure.axes:
        *classes, corners = [points.get_offsets() for points in axes.collections]
        assert [points.get_label() for points in axes.collections[:3]] == ["one", "three", "zero"]
        sides = [
            np.linalg.norm(points - np.roll(points, 1, 0), axis=1)
            for points in (templates, corners)
        ]
        np.testing.assert_allclose(*sides, rtol=1e-9)
        for points, corner in zip(classes, corners, strict=True):
            assert len(points) == COUNT / CLASSES
            np.testing.assert_allclose(points.mean(0), corner, atol=1e-6)
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_reliability_lines_are_the_bins():
    figure = figures.reliability(ANALYSIS)
    axes = figure.axes[1]
    assert (
        axes.get_title() == f"hard labels (CE), ECE {100 * ANALYSIS.students[0].measures.ece:.1f}%"
    )
    x, y = axes.lines[1].get_data()
    p = np.exp(LOGITS["ce"]) / np.exp(LOGITS["ce"]).sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == LABELS
    bins = [np.ceil(confidence * 15) == number for number in range(1, 16)]
    bins = [own for own in bins if own.sum() >= 10]
    np.testing.assert_allclose(x, [100 * confidence[own].mean() for own in bins])
    np.testing.assert_allclose(y, [100 * right[own].mean() for own in bins])


def test_training_curves_are_the_rows():
    training, validation = figures.training_curves(ANALYSIS).axes
    assert [line.get_label() for line in training.lines] == list(TEXTS.values())
    np.testing.assert_array_equal(training.lines[0].get_xydata(), [[1, 50], [2, 75]])
    np.testing.assert_array_equal(validation.lines[0].get_xydata(), [[1, 25]])


def test_class_gains_are_differences_sorted_by_their_mean():
    (axes,) = figures.class_gains(ANALYSIS).axes

    def accuracies(key):
        right = LOGITS[key].argmax(1) == LABELS
        return np.array([right[label == LABELS].mean() for label in range(CLASSES)])

    gains = {key: accuracies(key) - accuracies("ce") for key in ("kl:3", "mse")}
    order = np.argsort((gains["kl:3"] + gains["mse"]) / 2, kind="stable")
    lines = [line for line in axes.lines if line.get_label() in TEXTS.values()]
    for line, key in zip(lines, gains, strict=True):
        assert line.get_label() == TEXTS[key]
        np.testing.assert_allclose(line.get_xdata(), 100 * gains[key][order])
    names = [ANALYSIS.class_names[number] for number in order]
    assert [text.get_text() for text in axes.get_yticklabels()] == names


def test_many_classes_are_cut_to_the_ends():
    classes = 30
    logits = np.random.default_rng(1).normal(size=(3, 900, classes))
    labels = np.arange(900) % classes

    def student(text, own):
        run = types.SimpleNamespace(settings=types.SimpleNamespace(seed=0, objective=text))
        (found, _) = measure(
            {"a": lambda _: (None, own)}, [{"image": None, "label": labels}], classes
        )
        return Student(run, text, found["a"])

    names = tuple(map(str, range(classes)))
    students = [student(text, own) for text, own in zip(("ce", "mse"), logits, strict=False)]
    analysis = Analysis("d", "test", names, (), students, baseline="ce")
    gain = figures.gains_of(analysis)["mse"]
    (axes,) = figures.class_gains(analysis).axes
    x = next(line for line in axes.lines if line.get_label() == "mse").get_xdata()
    np.testing.assert_allclose(x, 100 * np.sort(gain)[[*range(10), *range(20, 30)]])


def test_temperatures_get_darker_and_other_objectives_keep_their_colour():
    names = ["ce", "kl:1", "kl:20", "kl:inf", "mse", "kl:20"]
    styles = drawing.line_styles(names)
    colours = [to_hex(style["color"]) for style in styles]
    brightness = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in colours[1:4]]
    assert brightness == sorted(brightness, reverse=True)
    assert colours[2] == colours[5]
    assert styles[2]["ls"] != styles[5]["ls"]
    assert colours[0] == to_hex(drawing.line_styles(["ce"])[0]["color"])
    assert colours[4] == to_hex(drawing.line_styles(["mse"])[0]["color"])


def test_pictures_have_names_headings_and_sentences_with_numbers():
    found = picture.pictures(ANALYSIS)
    names = [one.name for one in found]
    assert names == [
        "logit_sums",
        "logit_sum_shift",
        "logit_distance",
        "pre_logit_norm",
        "projections",
        "top_logit_difference",
        "reliability",
        "training_curves",
        "class_gains",
    ]
    for one in found:
        assert one.title in one.figure.get_suptitle().replace("\n", " ")
        assert one.alt.endswith(".")
        assert "MSE" in one.alt
        assert any(character.isdigit() for character in one.alt)
    shift = LOGITS["mse"].sum(1) - TEACHER.sum(1)
    assert f"MSE {shift.mean():.2f} ± {shift.std():.2f}" in found[1].alt
    assert "KL τ = 3 12.00 ± 0.00" in found[1].alt


def test_what_has_no_numbers_has_no_picture():
    lean = make(keys=("mse",), baseline=None, teacher=False, classes=())
    names = [one.name for one in picture.pictures(lean)]
    assert names == [
        "logit_sums",
        "pre_logit_norm",
        "top_logit_difference",
        "reliability",
        "training_curves",
    ]


@pytest.mark.slow
def test_real_runs_have_all_pictures_with_the_same_bytes_twice(opened, tmp_path):
    saved = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        analysis = analyze(opened("ce", "mse", "mse 1", "kl:inf"))
        for one in picture.pictures(analysis):
            plots.save(one.figure, tmp_path / folder / one.name, (".png", ".svg"))
        saved.append({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()})
    assert len(saved[0]) == 18
    assert saved[0] == saved[1]
