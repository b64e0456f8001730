import dataclasses
import shutil
import types

import numpy as np
import pytest

from keras_logitkd.analysis.analysis import analyze, summarize
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.analysis.selection import checked_classes, labels_of, order_of
from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings


@pytest.fixture(scope="module")
def analysis(tiny_runs):
    names, runs_dir = tiny_runs
    keys = ("mse 1", "mse", "ce", "teacher", "kl:inf", "mse")
    return analyze([open_run(names[key], runs_dir) for key in keys])


def test_measures_are_those_of_the_runs(analysis):
    labels = [(student.label, student.run.settings.seed) for student in analysis.students]
    assert labels == [("hard labels (CE)", 0), ("KL τ = ∞", 0), ("MSE", 0), ("MSE", 1)]
    for student in analysis.students:
        result = student.run.result
        assert student.measures.accuracy == pytest.approx(result["test_accuracy"])
        assert student.measures.ece == pytest.approx(result["test_ece"], abs=1e-5)
        if "test_agreement" in result:
            assert student.measures.agreement == pytest.approx(result["test_agreement"])
    taught = analysis.students[-1].run
    accuracy = taught.teachers[0].result()["test_accuracy"]
    assert analysis.teacher.accuracy == pytest.approx(accuracy)
    assert (analysis.teacher_label, analysis.baseline) == ("resnet-8-1", "hard labels (CE)")
    assert (analysis.examples, analysis.classes) == (24, (0, 1, 2))


def test_table_has_the_teacher_and_every_run(analysis):
    table = analysis.table()
    assert table["label"].tolist()[0] == "teacher resnet-8-1"
    assert table["run"].tolist()[1:] == [s.run.directory.name for s in analysis.students]
    assert table["seed"].tolist()[1:] == [0, 0, 0, 1]
    network = analysis.students[2].run.load_network()
    dataset = analysis.students[2].run.dataset
    logits = network.predict(dataset.test.images.array, verbose=0).astype(float)
    teacher = analysis.students[2].run.teachers[0].load()
    taught = teacher.predict(dataset.test.images.array, verbose=0).astype(float)
    distances = np.linalg.norm(logits - taught, axis=1)
    row = table.iloc[3]
    assert row["logit_distance_mean"] == pytest.approx(distances.mean(), rel=1e-3)
    assert row["logit_distance_std"] == pytest.approx(distances.std(), rel=1e-3)
    shift = logits.sum(1) - taught.sum(1)
    assert row["logit_sum_shift_mean"] == pytest.approx(shift.mean(), rel=1e-3, abs=1e-4)


def test_summary_is_over_seeds(analysis):
    summary = summarize(analysis).set_index("label")
    means = [s.measures.distributions["pre_logit_norm"].mean for s in analysis.named("MSE")]
    assert summary.loc["MSE", "n"] == 2
    assert summary.loc["MSE", "pre_logit_norm_mean"] == pytest.approx(np.mean(means))
    assert summary.loc["MSE", "pre_logit_norm_std"] == pytest.approx(np.std(means, ddof=1))
    assert np.isnan(summary.loc["KL τ = ∞", "pre_logit_norm_std"])
    shift = analysis.named("KL τ = ∞")[0].measures.distributions["logit_sum_shift"]
    expected = (shift.mean**2 + shift.std**2) ** 0.5
    assert summary.loc["KL τ = ∞", "logit_sum_shift_mean"] == pytest.approx(expected)


def test_figures_show_the_least_seed_of_each_label(analysis):
    assert [s.run.settings.seed for s in analysis.shown()] == [0, 0, 0]


def test_training_split_is_what_was_trained_on(opened):
    (run,) = opened("mse")
    found = analyze([run], split="train")
    assert found.examples == run.result["train_examples"]
    assert found.baseline is None
    expected = np.bincount(run.dataset.train.labels[run.data.train_indices], minlength=3)
    np.testing.assert_array_equal(found.students[0].measures.class_counts[0], expected)


def test_hard_labels_alone_have_no_teacher(opened):
    found = analyze(opened("ce"))
    assert found.teacher is None
    assert found.students[0].measures.agreement is None
    assert np.isnan(summarize(found)["logit_distance_mean"][0])


def test_average_of_teachers_has_no_pre_logits(opened):
    (run,) = opened("mse")
    two = dataclasses.replace(run, teachers=run.teachers * 2)
    found = analyze([two])
    assert found.teacher.distributions["pre_logit_norm"].count == 0
    single = analyze([run]).teacher.distributions["logit_sum"].mean
    assert found.teacher.distributions["logit_sum"].mean == pytest.approx(single)


def test_runs_of_two_teachers_are_refused(opened):
    with pytest.raises(ValueError, match=r"same teacher\. Received: .*resnet-8-1.*; .*wrn-10-1"):
        analyze(opened("mse", "other"))


def test_runs_of_one_name_in_two_places_are_two(opened, tmp_path):
    (run,) = opened("ce")
    other = tmp_path / run.directory.name
    shutil.copytree(run.directory.path, other)
    found = analyze([run, open_run(other, dataset=run.dataset)])
    labels = {f"hard labels (CE) ({path})" for path in (run.directory.path, other)}
    assert {student.label for student in found.students} == labels


def test_nothing_to_analyze_and_bad_arguments_are_refused(opened):
    with pytest.raises(ValueError, match="at least one run"):
        analyze([])
    with pytest.raises(ValueError, match="`split` must be one of test, train"):
        analyze(opened("ce"), split="all")
    with pytest.raises(ValueError, match="`layer` must be a layer of"):
        analyze(opened("ce"), layer="nowhere")


def test_different_training_examples_go_together_on_the_test_set_only(opened):
    first, second = opened("ce", "mse")
    recipe = second.settings.recipe.replace(examples=30)
    second = dataclasses.replace(
        second, settings=dataclasses.replace(second.settings, recipe=recipe)
    )
    assert analyze([first, second]).examples == 24
    with pytest.raises(ValueError, match=r"part of the training set \(--split test does not"):
        analyze([first, second], split="train")


def test_classes():
    labels = np.array([4, 1, 0, 5, 5])
    assert checked_classes(None, labels, 6) == (0, 1, 4)
    assert checked_classes(None, labels[:2], 6) == ()
    assert checked_classes([5, 0, 1], labels, 6) == (5, 0, 1)
    for bad in ([0, 1], [0, 1, 1], [0, 1, 2], [0, 1, 6], [-1, 0, 1]):
        with pytest.raises(ValueError, match=r"three different classes of 0\.\.5"):
            checked_classes(bad, labels, 6)


def fake_run(name="run", **fields):
    recipe = Recipe(epochs=fields.pop("epochs", 1), examples=fields.pop("examples", None))
    if fields.get("loss"):
        fields = {"teachers": ("t",), "alpha": 1.0, **fields}
    model = fields.pop("model", "wrn-10-1")
    settings = RunSettings(model=model, dataset="digits", recipe=recipe, **fields)
    return types.SimpleNamespace(settings=settings, directory=types.SimpleNamespace(name=name))


def test_labels_say_what_tells_runs_apart():
    runs = [fake_run(loss="kl:3"), fake_run(loss="kl:3", seed=1), fake_run()]
    assert labels_of(runs) == ["KL τ = 3", "KL τ = 3", "hard labels (CE)"]
    runs = [fake_run(loss="mse"), fake_run(loss="mse", model="wrn-16-1")]
    assert labels_of(runs) == ["wrn-10-1, MSE", "wrn-16-1, MSE"]
    noise = LabelNoise("symmetric", 0.4)
    runs = [fake_run(loss="mse"), fake_run(loss="mse", noise=noise, epochs=2)]
    assert labels_of(runs) == ["MSE, clean labels, 1 epochs", "MSE, symmetric 0.4, 2 epochs"]
    runs = [fake_run("a", loss="mse", alpha=0.9), fake_run("b", loss="mse", views=2)]
    assert labels_of(runs) == ["mse+a0.9", "MSE"]
    runs = [fake_run("a", loss="mse"), fake_run("b", loss="mse", views=2)]
    assert labels_of(runs) == ["MSE (a)", "MSE (b)"]


def test_names_of_objectives_that_are_no_loss_stay():
    assert labels_of([fake_run(loss="attention transfer")]) == ["attention transfer"]
    assert order_of(fake_run(loss="attention transfer"))[1] == 3
