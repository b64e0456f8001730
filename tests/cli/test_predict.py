"""`logitkd predict` on pictures of a small folder."""

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("tiny_networks")
TRAIN = (
    *("train", "--model", "wrn-10-1", "--dataset", "folder:photos", "--name", "photos"),
    *("--epochs", "3", "--batch-size", "8", "--learning-rate", "0.05", "--validation", "0"),
)


def write_photos():
    import pathlib

    for part, count in (("train", 8), ("test", 3)):
        for value, name in ((40, "dark"), (210, "light")):
            folder = pathlib.Path("photos", part, name)
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((8, 8, 3), value + number, np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.fixture
def trained(once, run):
    def fill():
        write_photos()
        assert run(*TRAIN)[0] == 0

    once(fill)


def test_predict_names_the_classes_of_pictures(run, trained):
    code, out, err = run("predict", "photos", "photos/test", "--json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert content["unreadable"] == []
    names = [row["picture"] for row in content["pictures"]]
    assert names == [f"photos/test/{c}/{n}.png" for c in ("dark", "light") for n in range(3)]
    right = [row["classes"][0]["class"] in row["picture"] for row in content["pictures"]]
    result = json.loads(run("evaluate", "photos", "--json")[1])
    assert np.mean(right) == pytest.approx(result["accuracy"])
    assert all(len(row["classes"]) == 1 for row in content["pictures"])


def test_predict_prints_the_likeliest_classes_first(run, trained):
    arguments = ("predict", "runs/photos/model.keras", "photos/test/dark/0.png", "--top", "5")
    code, out, _ = run(*arguments)
    assert code == 0
    assert "photos/test/dark/0.png" in out
    (row,) = json.loads(run(*arguments, "--json")[1])["pictures"]
    likeliest, other = row["classes"]
    assert likeliest["probability"] >= other["probability"]
    assert likeliest["probability"] + other["probability"] == pytest.approx(1)
    lines = [line.split()[-2:] for line in out.splitlines()[1:]]
    assert lines == [[each["class"], f"{each['probability']:.2%}"] for each in row["classes"]]


def test_unreadable_pictures_are_listed_and_the_others_predicted(run, trained, tmp_path):
    (tmp_path / "cut.png").write_bytes((tmp_path / "photos/test/dark/0.png").read_bytes()[:40])
    code, out, err = run("predict", "photos", "cut.png", "photos/test/light/0.png")
    assert code == 1
    assert "photos/test/light/0.png" in out
    assert "Cannot read the image cut.png" in err
    assert "1 of 2 pictures could not be read" in err
    code, out, _ = run("predict", "photos", "cut.png", "--json")
    assert code == 1
    assert [row["picture"] for row in json.loads(out)["unreadable"]] == ["cut.png"]


def test_wrong_arguments_are_one_line(run, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, line in (
        (("photos", "empty"), "A folder must hold pictures that end in"),
        (("nothing", "photos"), "A model must be a .keras file, a run directory"),
        (("photos", "gone.png"), "Path 'gone.png' does not exist"),
        (("photos", "photos", "--top", "0"), "0 is not in the range x>=1"),
        (("photos",), "Missing argument 'PICTURES"),
    ):
        code, out, err = run("predict", *arguments)
        assert (code, out) == (2, "")
        assert line in err
        assert err.count("\n") == 1
