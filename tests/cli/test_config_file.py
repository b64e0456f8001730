"""`--config`: JSON, YAML, and the config.json of runs."""

import json
import pathlib

import pytest

from keras_logitkd.runs.spec import recipes

pytestmark = pytest.mark.usefixtures("tiny_networks")

QUICK = (
    *("--dataset", "npz:tiny.npz", "--epochs", "1", "--batch-size", "16"),
    *("--pad", "0", "--no-flip", "--validation", "0"),
)
TAUGHT = ("distill", "--student", "wrn-10-1", "--teacher", "resnet-8-1", "--teacher-epochs", "1")


def configs(runs_dir):
    """The content of each config.json by the name of its run."""
    files = pathlib.Path(runs_dir).glob("*/config.json")
    return {file.parent.name: json.loads(file.read_text()) for file in files}


def the_student(runs_dir):
    (name,) = (name for name, config in configs(runs_dir).items() if config["kind"] == "distill")
    return pathlib.Path(runs_dir, name, "config.json")


@pytest.fixture
def distilled(run_on_tiny, once):
    """Runs the command line where runs/ has a student and its teacher."""
    options = ("--loss", "kl:3@0,mse@1", "--seed", "2", "--views", "1", "--alpha", "0.75")
    recipe = ("--set", "nesterov=no", "--set", "lr-drops=0.3", "--epochs", "2")
    once(lambda: run_on_tiny(*TAUGHT, *QUICK, *options, *recipe))
    return run_on_tiny


def test_config_of_a_run_makes_the_same_run_elsewhere(distilled):
    file = the_student("runs")
    code, _, err = distilled("distill", "--config", file, "--runs-dir", "other")
    assert code == 0, err
    assert configs("other") == configs("runs")
    config = configs("other")[file.parent.name]
    assert (config["loss"], config["alpha"], config["seed"]) == ("kl:3@0,mse@1", 0.75, 2)
    assert (config["recipe"]["nesterov"], config["recipe"]["lr_drops"]) == (False, [0.3])


def test_config_of_a_teacher_is_one_of_train(distilled):
    (teacher,) = set(configs("runs")) - {the_student("runs").parent.name}
    code, _, err = distilled(
        "train", "--config", f"runs/{teacher}/config.json", "--runs-dir", "more"
    )
    assert code == 0, err
    assert configs("more") == {teacher: configs("runs")[teacher]}
    code, _, err = distilled("distill", "--config", f"runs/{teacher}/config.json")
    assert code == 2
    assert "a run of `logitkd train`, not of `logitkd distill`" in err


def test_what_is_typed_makes_another_run_of_a_config(distilled):
    code, out, err = distilled("distill", "--config", the_student("runs"), "--seed", "5", "--json")
    assert code == 0, err
    config = json.loads(pathlib.Path(json.loads(out)["run"], "config.json").read_text())
    assert (config["seed"], config["views"], config["loss"]) == (5, 1, "kl:3@0,mse@1")


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"noise": {"kind": "pair", "rate": 0.2, "seed": 0}}, ("`noise`", "logitkd noise")),
        ({"view_seed": 3}, ("`view_seed`", "3")),
        ({"train_fingerprint": "0" * 64}, ("cannot be made again", "train_fingerprint")),
        ({"teachers": ["sha256:0"], "teacher": "wrn-10-1"}, ("cannot be made again", "teachers")),
        ({"teachers": ["a", "b"]}, ("`teacher` must name 2",)),
        ({"seeed": 3}, ("'seeed'", "'seed'")),
        ({"loss": "l1"}, ("--loss", "l1")),
    ],
)
def test_config_that_options_cannot_say_is_refused(distilled, changed, parts):
    content = json.loads(the_student("runs").read_text())
    pathlib.Path("c.json").write_text(json.dumps({**content, **changed}))
    code, out, err = distilled("distill", "--config", "c.json", "--runs-dir", "none")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err
    assert not pathlib.Path("none").exists()


def test_field_without_a_value_where_the_dataset_has_one_is_refused(distilled, monkeypatch):
    row = recipes.SMALL_IMAGES.replace(mean=(0.5,))
    monkeypatch.setitem(recipes.RECIPES, "npz", row)
    code, _, err = distilled("distill", "--config", the_student("runs"), "--runs-dir", "none")
    assert code == 2
    assert "mean, teachers would be other" in err
    assert not pathlib.Path("none").exists()


YAML = """
student: wrn-10-1
teacher: resnet-8-1
teacher_epochs: 1
dataset: npz:tiny.npz
loss: kl:2
epochs: 1
batch-size: 16
flip: off
lr-drops: [0.5, 0.75]
"""


def test_yaml_holds_options_by_their_long_names(run_on_tiny, own_teacher):
    pathlib.Path("c.yaml").write_text(YAML)
    code, out, err = run_on_tiny(
        *("distill", "--config", "c.yaml", "--teacher", "own.keras", "--json"),
        *("--set", "batch-size=8", "--set", "nesterov=no"),
    )
    assert code == 0, err
    config = json.loads(pathlib.Path(json.loads(out)["run"], "config.json").read_text())
    assert (config["loss"], config["recipe"]["epochs"]) == ("kl:2", 1)
    assert (config["recipe"]["flip"], config["recipe"]["lr_drops"]) == (False, [0.5, 0.75])
    assert config["teacher"] == "own.keras"
    assert (config["recipe"]["batch_size"], config["recipe"]["nesterov"]) == (8, False)


@pytest.mark.parametrize(
    ("command", "content", "parts"),
    [
        ("distill", "student: a\nepoch: 3", ("c.yaml, line 2,", "'epoch'", "'epochs'")),
        ("distill", "student: wrn-10-1\nflip: maybe", ("line 2", "'flip'", "true or false")),
        ("distill", "student: [", ("no YAML", "line 1")),
        ("distill", "epochs: 3\nepochs: 4", ("no YAML", "'epochs' is there twice")),
        ("distill", "- epochs", ('an object "options"',)),
        ("distill", "options:\n  epochs: 3\nseeds: 1", ("line 3", "'seeds'", "'search'")),
        ("distill", "set: {epochs: 3}", ("'set'", "by themselves")),
        ("distill", "epochs: 2020-01-01", ("'epochs'", "2020-01-01")),
        ("distill", "student: vgg", ("--student", "'vgg'")),
        ("distill", "student: wrn-10-1\nepochs: x", ("--epochs", "'x'", "(c.yaml, line 2)")),
        ("distill", "student: wrn-10-1\nalpha: 2", ("--alpha", "[0, 1]", "(c.yaml, line 2)")),
        ("noise", "student: wrn-10-1\nnoise: [pair:2]", ("`rate`", "rate=2.0")),
        ("noise", "noises: pair:0.2", ("'noises'", "'noise'")),
        ("tune", "trial: 3", ("'trial'", "'trials'")),
        ("cache", "teacher: vgg", ("--teacher", "'vgg'")),
        ("train", "models: wrn-10-1", ("'models'", "'model'")),
    ],
)
def test_bad_yaml_is_one_line_that_names_the_place(run_on_tiny, command, content, parts):
    pathlib.Path("c.yaml").write_text(content)
    code, out, err = run_on_tiny(command, "--config", "c.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("logitkd: error: ")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err
