"""The paper's tables and figures: what they are made of, and what is written about them."""

import csv
import dataclasses
import itertools
import types

import numpy as np
import pytest
from PIL import Image

from keras_logitkd import features, zoo
from keras_logitkd.experiments import registry, reproduce, setups
from keras_logitkd.experiments.cell_order import Failure, in_order
from keras_logitkd.experiments.reproduce import setup_of, with_fields
from keras_logitkd.experiments.statistics import paired_difference
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import recipe_for

EXPERIMENTS = {name: registry.get(name) for name in registry.EXPERIMENTS}
SCALES = [*itertools.product(EXPERIMENTS, setups.SCALES)]
# Kim et al., IJCAI 2021, typed from the paper a second time.
PAPER = {
    "table2": {
        "wrn-16-2": "72.68 72.90 74.24 74.88 75.15 75.51 75.54",
        "wrn-16-4": "77.28 76.93 78.76 78.65 78.84 78.61 79.03",
        "wrn-28-2": "75.12 74.88 76.47 76.60 77.28 76.86 77.28",
        "wrn-28-4": "78.88 78.01 78.84 79.36 79.72 79.61 79.79",
        "wrn-40-6": "79.11 79.69 79.94 79.87 79.82 79.80 80.25",
    },
    "table3": {
        "wrn-16-2": "72.68 73.53 73.70 73.44 73.29 74.09 73.98 75.59 75.54",
        "wrn-16-4": "77.28 78.31 78.15 77.93 77.82 78.28 78.64 78.20 79.03",
        "wrn-28-2": "75.12 76.57 76.06 76.20 76.30 76.59 76.81 76.71 77.28",
    },
    "table4": {"wrn-16-2": "51.64 52.07 51.36 50.11 49.69 49.46 49.20"},
    "table5": {"resnet-50": "76.28 77.15 77.52 75.84"},
    "table6": {
        "no teacher": "72.68",
        "medium": "74.84 75.42 75.58",
        "large": "74.24 75.15 75.54",
        "large, medium by kl:3": "74.52 75.47 75.78",
        "large, medium by mse": "74.83 75.47 75.48",
    },
    "ensemble": {"wrn-16-2": "75.60 75.54"},
    "figure2": {},
    "figure3": {},
    "figure4": {},
    "figure5": {},
    "figure6": {},
}
# What looks at the networks of its runs, and so cannot do without training.
STUDIES = [name for name, experiment in EXPERIMENTS.items() if experiment.study]
TABLES = [name for name in EXPERIMENTS if name not in STUDIES]
COLUMNS = {
    "table2": ["ce", "kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse"],
    "table3": [
        *("baseline", "skd (alpha 0.1, tau 5)", "fitnets", "at", "jacobian", "ft", "ab"),
        *("overhaul", "mse"),
    ],
    "table4": ["kl:0.1", "kl:0.5", "kl:1", "kl:5", "kl:20", "kl:inf", "mse"],
    "table5": ["ce", "kl standard", "kl:20", "mse"],
    "table6": ["kl:3", "kl:20", "mse"],
    "ensemble": ["average", "wrn-28-4"],
}


def settled(name, scale, seeds=None):
    """A setup as it is when its cells are made."""
    setup = setup_of(name, scale, seeds=seeds)
    shape = (224, 224, 3) if setup.dataset == "imagenet2012" else (32, 32, 3)
    recipe = recipe_for(types.SimpleNamespace(name=setup.dataset, image_shape=shape)).replace(
        **setup.fields
    )
    return dataclasses.replace(setup, recipe=recipe)


@pytest.fixture
def mini(tiny_spec):
    """The smoke setup on the tiny dataset, with one short epoch."""
    return dataclasses.replace(
        setups.SMOKE,
        dataset=tiny_spec,
        teacher="resnet-8-1",
        fields={"epochs": 1},
        teacher_epochs=2,
        seeds=(0, 1),
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_numbers_of_the_paper(name):
    expected = {
        (row, column): float(number)
        for row, numbers in PAPER[name].items()
        for column, number in zip(
            ["ce"] if row == "no teacher" else COLUMNS[name], numbers.split(), strict=True
        )
    }
    assert expected == EXPERIMENTS[name].paper


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_claims_are_on_cells_of_every_seed(name, scale):
    setup = settled(name, scale)
    entries = EXPERIMENTS[name].entries(setup)
    places = [(entry.row, entry.column, entry.cell.seed) for entry in entries]
    assert len(set(places)) == len(places)
    claims = EXPERIMENTS[name].claims(setup)
    assert claims
    assert len({claim.text for claim in claims}) == len(claims)
    for claim in claims:
        for cell in (claim.first, claim.second):
            assert all((*cell, seed) in places for seed in setup.seeds), (claim, cell)
        assert claim.first != claim.second


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_no_dead_names(name, scale):
    setup = settled(name, scale)
    for cell in in_order(entry.cell for entry in EXPERIMENTS[name].entries(setup)):
        assert zoo.parse_name(cell.model).depth > 0
        if cell.loss is not None:
            features.Objective.parse(cell.loss, cell.alpha).check()
        assert 0 < cell.alpha <= 1
        assert Cell.from_config(cell.to_config()) == cell


@pytest.mark.parametrize("name", [name for name, numbers in PAPER.items() if numbers])
def test_published_numbers_have_a_cell_at_the_scale_of_the_paper(name):
    setup = settled(name, "paper")
    places = {(entry.row, entry.column) for entry in EXPERIMENTS[name].entries(setup)}
    assert set(EXPERIMENTS[name].paper) <= places


def test_pairs_and_recipes_are_the_papers():
    for name in EXPERIMENTS:
        setup = settled(name, "paper")
        if name == "table5":
            assert (setup.dataset, setup.teacher, setup.student) == (
                "imagenet2012",
                "resnet-152",
                "resnet-50",
            )
            continue
        assert (setup.dataset, setup.teacher, setup.student) == (
            "cifar100",
            "wrn-28-4",
            "wrn-16-2",
        )
        assert setup.recipe == recipe_for(
            types.SimpleNamespace(name="cifar100", image_shape=(32, 32, 3))
        )
        assert (setup.medium, setup.ensemble) == ("wrn-16-4", ("wrn-16-4", "wrn-28-4", "wrn-40-6"))
    setup = settled("table2", "paper")
    assert setup.students == ("wrn-16-2", "wrn-16-4", "wrn-28-2", "wrn-28-4", "wrn-40-6")
    assert setup.noise_rates == (0.4, 0.8)
    assert setup.taus == ("1", "3", "5", "20", "inf")
    assert setup.alphas == tuple(number / 10 for number in range(1, 11))


def test_poor_teacher_stops_before_the_rate_drops():
    setup = settled("table4", "paper")
    (teacher,) = {entry.cell.teachers for entry in EXPERIMENTS["table4"].entries(setup)}
    recipe = teacher[0].recipe
    assert (recipe.epochs, recipe.lr_drops, recipe.learning_rate) == (10, (), 0.1)


@pytest.fixture
def teacher_file(tmp_path):
    """The path of a file that is not opened by what is tested."""
    (tmp_path / "a.keras").touch()
    return str(tmp_path / "a.keras")


def test_changes_replace_what_the_scale_says_and_are_checked(teacher_file):
    setup = setup_of("table2", "smoke", seeds=(7,), teacher=teacher_file, students=None)
    assert setup == dataclasses.replace(setups.SMOKE, seeds=(7,), teacher=teacher_file)
    with pytest.raises(ValueError, match="vgg"):
        setup_of("table2", "smoke", teacher="vgg")
    with pytest.raises(ValueError, match="wrn-17-1"):
        setup_of("table2", "smoke", students=("wrn-17-1",))


def test_teacher_from_a_file_is_used_as_it_is(teacher_file):
    setup = dataclasses.replace(settled("table2", "smoke"), teacher=teacher_file)
    taught = {entry.cell.teachers for entry in EXPERIMENTS["table2"].entries(setup)}
    assert taught == {(), (teacher_file,)}
    wrong = {entry.cell.teachers for entry in EXPERIMENTS["figure6"].entries(setup)}
    assert wrong == {(), (teacher_file,)}


def read(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("name", TABLES)
def test_report_holds_the_numbers_of_the_runs(name, mini, workspace, untrained, tmp_path):
    report = reproduce.reproduce(name, mini, workspace, tmp_path / "out", command="logitkd again")
    rows, text = read(report.files["csv"]), report.files["markdown"].read_text()
    assert len(rows) == len(report.frame) == len(EXPERIMENTS[name].entries(with_recipe(mini)))
    for row, accuracy in zip(rows, report.frame["test_accuracy"], strict=True):
        assert float(row["test_accuracy"]) == accuracy
    for (row, _), values in report.summary.iterrows():
        if values["n"] > 1:
            assert f"{100 * values['mean']:.2f} ± {100 * values['std']:.2f}" in text
        assert f"| {row} |" in text
    assert f"# {EXPERIMENTS[name].title}" in text
    assert "    logitkd again" in text
    assert "paper:" not in text
    assert "The paper's own numbers are of other data" in text
    for claim, verdict in zip(EXPERIMENTS[name].claims(mini), report.verdicts, strict=True):
        difference = paired_difference(report.frame, claim.first, claim.second)
        assert verdict.difference == difference
        assert verdict.sentence() in text
        assert f"{100 * difference.mean:+.2f} ± {100 * difference.half_width:.2f}" in text
    with Image.open(report.files["figure"]) as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 1


def with_recipe(setup):
    return dataclasses.replace(
        setup, recipe=recipe_for(types.SimpleNamespace(name=setup.dataset, image_shape=(8, 8, 1)))
    )


def test_teachers_are_named_with_their_own_epochs(mini, workspace, untrained, tmp_path):
    def first_lines(name):
        report = reproduce.reproduce(name, mini, workspace, tmp_path / name)
        return report.files["markdown"].read_text()[:600]

    assert "resnet-8-1 (2 epochs on hard labels, seed 0)" in first_lines("table2")
    assert "resnet-8-1 (1 epochs on hard labels, seed 0)" in first_lines("table4")
    assert "wrn-16-1 (2 epochs" in first_lines("ensemble")


def test_numbers_of_the_paper_stand_beside_its_own_setup_only(
    tiny_spec, workspace, untrained, tmp_path, monkeypatch
):
    # The setup of the paper, as far as `reproduce` knows: only the images are others.
    setup = setup_of("table4", "paper", seeds=(0, 1))
    text = reproduce.reproduce("table4", setup, workspace, tmp_path / "a").files["markdown"]
    assert "| paper: wrn-16-2 | 51.64 | 52.07 | 51.36 |" in text.read_text()
    assert "other data" not in text.read_text()
    changed = with_fields(setup, {"epochs": 100})
    text = reproduce.reproduce("table4", changed, workspace, tmp_path / "b").files["markdown"]
    assert "paper: wrn-16-2" not in text.read_text()


@pytest.mark.parametrize("name", TABLES)
def test_report_is_written_where_cells_failed(name, mini, workspace, untrained, tmp_path):
    setup = dataclasses.replace(mini, seeds=(0,))
    entries = EXPERIMENTS[name].entries(with_recipe(setup))
    taught = next(entry.cell for entry in entries if entry.cell.teachers)
    untrained.accuracies[taught.label] = Failure("no luck")
    text = reproduce.reproduce(name, setup, workspace, tmp_path / "out").files["markdown"]
    assert "## Failed" in text.read_text()
    assert "no luck" in text.read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_report_is_written_where_everything_failed(
    name, mini, workspace, untrained, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "keras_logitkd.experiments.sweep.run_cell", lambda workspace, cell: Failure("no luck")
    )
    report = reproduce.reproduce(name, mini, workspace, tmp_path / "out")
    assert "figure" not in report.files
    assert {verdict.outcome for verdict in report.verdicts} == {"not run"}
    assert (report.frame["error"] != "").all()


def test_first_stages_of_table3_have_the_epochs_of_the_scale():
    def losses_of(scale):
        return {
            entry.cell.loss for entry in EXPERIMENTS["table3"].entries(settled("table3", scale))
        }

    methods = {"fitnets", "at", "jacobian", "overhaul", "mse"}
    assert losses_of("paper") == {None, "kl:5", *methods, "ft", "ab"}  # 30 epochs, their own
    for scale in ("smoke", "small"):
        assert losses_of(scale) == {None, "kl:5", *methods, "ft:init_epochs=1", "ab:init_epochs=1"}


def test_table3_claims_that_mse_equals_or_beats_every_other_column():
    setup = settled("table3", "paper")
    beaten = {claim.second for claim in EXPERIMENTS["table3"].claims(setup)}
    students = ("wrn-16-2", "wrn-16-4", "wrn-28-2")
    others = [column for column in COLUMNS["table3"] if column != "mse"]
    assert beaten == {*itertools.product(students, others)}
