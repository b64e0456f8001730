"""The diffs in CONTRIBUTING.md, applied to a copy and used from its command line."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import forkserver
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
DIFFS = dict(re.findall(r"^### ([^\n]+)\n\n```diff\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
# One batch an epoch, and the same images in all of them.
ONCE = "--batch-size 256 --examples 200 --validation 0 --no-flip --pad 0 --weight-decay 0"
DISTILL = f"distill --student wrn-10-1 --teacher resnet-8-1 --epochs 1 --teacher-epochs 1 {ONCE}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the product with all diffs in it."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("keras_logitkd", "cli", "zoo"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for diff in DIFFS.values():
        outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)}
        subprocess.run(
            ["git", "apply", "-"], input=diff, text=True, cwd=root, env=outside, check=True
        )
    for name in ("cli", "zoo"):
        (root / "keras_logitkd" / name).symlink_to(root / name)
    return root


@pytest.fixture(scope="module")
def server(copy):
    server = forkserver.Server({**os.environ, "PYTHONPATH": str(copy)})
    yield server
    server.close()


@pytest.fixture
def logitkd(server, copy, tmp_path, monkeypatch):
    """Returns the function that runs a command of the copy; it returns what that prints."""
    monkeypatch.chdir(tmp_path)
    out, err = tmp_path / "out.txt", tmp_path / "err.txt"

    def run(arguments, code=0):
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        files = str(out), str(err)
        child = server.start(arguments.split(), str(tmp_path), environment, *files, tiny=True)
        while child.poll() is None:
            time.sleep(0.02)
        assert child.returncode == code, err.read_text()
        return err.read_text() if code else out.read_text()

    return run


def losses(name, column="loss"):
    """A column of a run's metrics.csv."""
    with open(f"runs/{name}/metrics.csv", newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file)]


def test_each_is_one_file_and_one_row():
    kinds = ["loss", "feature method", "model", "view operation", "recipe field", "experiment"]
    assert [re.match(r"An? (\w+( \w+)?)", title)[1] for title in DIFFS] == [*kinds, "command"]
    for title, diff in DIFFS.items():
        *new, registry = re.split(r"^diff --git .*\n", diff, flags=re.MULTILINE)[1:]
        added = [line[1:] for line in registry.splitlines() if re.match(r"\+(?!\+\+ )", line)]
        if title.startswith("A recipe field"):
            continue  # a row, and a line where it acts
        assert [part.partition("\n")[0] for part in new] == ["new file mode 100644"], title
        assert re.search(r"^\+\+\+ b/\S+/registry\.py$", registry, re.MULTILINE), title
        assert len([line for line in added if not line.startswith("from ")]) == 1, title


def test_they_are_in_the_style_of_the_house(copy):
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."],
            cwd=copy,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_loss(logitkd):
    logitkd(f"{DISTILL} --loss mse --name squares")
    logitkd(f"{DISTILL} --loss huber:1e6 --name huber")
    assert losses("huber") == pytest.approx([losses("squares")[0] / 2], rel=1e-5)
    assert json.loads(pathlib.Path("runs/huber/config.json").read_text())["loss"] == "huber:1e6"


def test_feature_method(logitkd):
    logitkd(f"{DISTILL} --loss mse+norms:weight=3 --name a")
    norms, mse = losses("a", "norms")[0], losses("a", "distillation_loss")[0]
    assert norms > 0
    assert losses("a")[0] == pytest.approx(mse + 3 * norms, rel=1e-5)


def test_model(logitkd):
    trained = json.loads(logitkd(f"train --model mlp-7 --epochs 1 {ONCE} --json"))
    assert trained["parameters"] == (8 * 8 + 1) * 7 + (7 + 1) * 10
    assert "or mlp-W" in logitkd("train --model nlp-7", code=2)


def test_view_operation_and_recipe_field(logitkd):
    for name, options in (("plain", ""), ("other", "--invert 0.5"), ("still", "--clip-norm 1e-9")):
        logitkd(f"train --model mlp-7 --epochs 2 {ONCE} --name {name} {options}")
    assert losses("other")[0] != losses("plain")[0] != losses("plain")[1]
    assert losses("still") == pytest.approx([losses("plain")[0]] * 2, rel=1e-6)
    recipes = {
        name: json.loads(pathlib.Path(f"runs/{name}/config.json").read_text())["recipe"]
        for name in ("plain", "other", "still")
    }
    assert recipes["other"] == {**recipes["plain"], "invert": 0.5}
    assert recipes["still"] == {**recipes["plain"], "clip_norm": 1e-9}
    assert not {"invert", "clip_norm"} & set(recipes["plain"])


def test_experiment_and_command(logitkd):
    logitkd(
        "reproduce one_loss --teacher mlp-9 --student mlp-7 --seeds 0,1 --epochs 1 "
        "--teacher-epochs 1 --examples 200"
    )
    with open("results/one_loss-smoke/table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["column"], row["seed"]) for row in table] == [
        (column, seed) for column in ("ce", "mse") for seed in "01"
    ]
    assert "- **" in pathlib.Path("results/one_loss-smoke/report.md").read_text()
    best = max(
        pathlib.Path("runs").glob("*/result.json"),
        key=lambda file: json.loads(file.read_text())["validation_accuracy"],
    )
    assert logitkd("best") == f"{best.parent.name}\n"
    assert "  best " in logitkd("--help")
