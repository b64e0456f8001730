import csv
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("tiny_networks")

QUICK = ("--dataset", "npz:tiny.npz", "--epochs", "1", "--teacher-epochs", "1", "--json")
PICTURES = {
    "class_gains",
    "logit_distance",
    "logit_sum_shift",
    "logit_sums",
    "pre_logit_norm",
    "projections",
    "reliability",
    "top_logit_difference",
    "training_curves",
}


@pytest.fixture
def names(run_on_tiny, once):
    """Names of a run by MSE and of one on hard labels, beside their teacher's."""

    def fill():
        code, out, _ = run_on_tiny(
            "distill", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--baseline", *QUICK
        )
        assert code == 0
        pathlib.Path("out.json").write_text(out)

    once(fill)
    found = json.loads(pathlib.Path("out.json").read_text())
    return [pathlib.Path(one["run"]).name for one in (found, found["baseline"])]


def test_pictures_and_table(run, names):
    code, out, err = run("analyze", *names, "--classes", "2,0,1")
    assert (code, err) == (0, "")
    assert "24 test examples" in out
    assert "teacher resnet-8-1" in out
    folder = pathlib.Path("results/analysis")
    for name in PICTURES:
        assert f"{name}: {folder / name}.png" in out
        with Image.open(folder / f"{name}.png") as picture:
            assert np.asarray(picture.convert("L")).std() > 1
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")
    with (folder / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["", names[1], names[0]]
    for row in rows[1:]:
        result = json.loads(pathlib.Path("runs", row["run"], "result.json").read_text())
        assert float(row["accuracy"]) == pytest.approx(result["test_accuracy"])
    assert rows[0]["logit_distance_mean"] == ""


def test_json_and_everything_in_the_runs_directory(run, names):
    paths = sorted(map(str, pathlib.Path("runs").glob("[!.]*")))
    code, out, _ = run(
        "analyze", *paths, "--split", "train", "--json", "--output", "out", "--baseline", names[0]
    )
    assert code == 0
    found = json.loads(out)
    assert found["examples"] == 54
    assert [network["run"] for network in found["networks"]] == [None, names[1], names[0]]
    assert found["networks"][0]["agreement"] is None
    assert set(found["files"]) == PICTURES | {"measures"}


def test_bad_input_is_one_line(run, names):
    for arguments, text in {
        ("nothing",): "Received: nothing",
        (names[0], "--classes", "0,1"): "not a list of three classes",
        (names[0], "--classes", "0,1,cat"): "one of 0, 1, 2. Received: 'cat'",
        (names[0], "--classes", "0,1,3"): "one of 0, 1, 2. Received: '3'",
        (names[0], "--layer", "nowhere"): "layer='nowhere'",
        (names[0], "--baseline", "nothing"): "Received: nothing",
        (): "Missing argument",
    }.items():
        code, _, err = run("analyze", *arguments)
        assert (code, err.count("\n")) == (2, 1)
        assert text in err
    assert not pathlib.Path("results").exists()


def test_runs_of_several_teachers_are_refused(run, names):
    code, out, _ = run(
        "distill", "--student", "wrn-10-1", "--teacher", "wrn-10-1", "--seed", "1", *QUICK
    )
    code, _, err = run("analyze", names[0], json.loads(out)["run"])
    assert code == 2
    assert "All runs must have the same teacher" in err
