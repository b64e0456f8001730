import json

import pytest

from keras_logitkd.runs.directory.run_directory import RunDirectory, list_runs, locate_model
from keras_logitkd.storage.atomic import replacing, write_json


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "-x", "a b", "a\n"])
def test_name_that_could_be_a_path_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="Received: name="):
        RunDirectory(tmp_path, name)


def test_replacing_keeps_the_old_file_when_writing_fails(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(RuntimeError), replacing(file) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert json.loads(file.read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_a_row_an_epoch(tmp_path):
    run = RunDirectory(tmp_path, "r")
    run.start({})
    run.write_metrics([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert run.metrics_file.read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


def test_list_runs_gives_finished_and_unfinished(tmp_path):
    for name in ("b", "a"):
        RunDirectory(tmp_path, name).start({"kind": "train"})
    RunDirectory(tmp_path, "a").finish({"test_accuracy": 0.5})
    (tmp_path / "no_run").mkdir()
    assert list_runs(tmp_path) == [
        ("a", {"kind": "train"}, {"test_accuracy": 0.5}),
        ("b", {"kind": "train"}, None),
    ]


def test_start_where_a_file_stands_says_which(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(ValueError, match=r"Cannot write the run directory .*runs/r"):
        RunDirectory(tmp_path / "runs", "r").start({})


def test_damaged_config_is_named(tmp_path):
    run = RunDirectory(tmp_path, "r")
    run.start({})
    run.config_file.write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        run.read_config()


def test_locate_model_by_file_name_and_path(tmp_path):
    run = RunDirectory(tmp_path, "r")
    run.start({"kind": "distill"})
    with pytest.raises(ValueError, match="not finished"):
        locate_model("r", tmp_path)
    run.finish({"test_accuracy": 0.5})
    file = run.model_file("distill")
    file.write_text("")
    assert locate_model(str(file), tmp_path) == (file, None)
    assert locate_model("r", tmp_path) == (file, {"kind": "distill"})
    assert locate_model(str(run.path), "elsewhere") == (file, {"kind": "distill"})
    with pytest.raises(ValueError, match="Received: nothing"):
        locate_model("nothing", tmp_path)
