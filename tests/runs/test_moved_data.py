"""Runs on data that were moved, copied, or got another test part."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.runs import job as jobs
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.models import load_model
from keras_logitkd.runs.workspace import open_workspace
from keras_logitkd.tuning.search import Search

pytestmark = pytest.mark.usefixtures("tiny_networks")
FIELDS = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "validation": 0.2}


def open_it(spec, place, **fields):
    cache = LogitCache(str(place / "logits"))
    return open_workspace(spec, place / "runs", recipe_fields=FIELDS, cache=cache, **fields)


def distil(workspace):
    return workspace.distill("wrn-10-1", "wrn-10-1", "kl:2", 0.5, teacher_epochs=1)


@pytest.fixture(scope="module")
def finished(tiny_spec, tmp_path_factory):
    """A place with a student and its teacher, both finished, and what trained them."""
    import tiny_zoo

    place = tmp_path_factory.mktemp("finished")
    with tiny_zoo.in_place():
        return place, distil(open_it(tiny_spec, place))


@pytest.fixture
def place(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def refusing(monkeypatch):
    """Nothing may be trained."""

    def refuse(*arguments):
        raise AssertionError("this must not be trained again")

    monkeypatch.setattr(jobs, "build_network", refuse)


def rewritten(spec, path, change):
    """Writes the arrays of an npz specification elsewhere after a change in place."""
    with np.load(spec.removeprefix("npz:")) as archive:
        arrays = {name: archive[name].copy() for name in archive.files}
    change(arrays)
    np.savez(path, **arrays)
    return f"npz:{path}"


def other_tests(arrays):
    arrays["x_test"], arrays["y_test"] = arrays["x_test"][:15], np.roll(arrays["y_test"][:15], 1)


def names(place):
    return sorted(path.name for path in (place / "runs").iterdir())


def test_a_copy_under_another_name_is_the_same_run(finished, place, tiny_spec, refusing):
    before = names(place)
    copy = shutil.copy(tiny_spec.removeprefix("npz:"), place / "other name.npz")
    run = distil(open_it(f"npz:{copy}", place))
    assert run.directory.name == finished[1].directory.name
    assert run.result == finished[1].result
    assert names(place) == before


def test_a_run_of_version_0_1_is_found_by_its_former_name(place, tiny_spec, refusing):
    workspace = open_it(tiny_spec, place)
    (teacher,) = distil(workspace).teachers
    cell = workspace.distillation("wrn-10-1", "wrn-10-1", "kl:2", 0.5, teacher_epochs=1)
    settings = workspace.settings(cell.teacher_cells[0])
    former = dataclasses.replace(settings, train_fingerprint=None)
    assert former.default_name() != settings.default_name() == teacher.identity
    shutil.move(place / "runs" / teacher.identity, place / "runs" / former.default_name())
    config = place / "runs" / former.default_name() / "config.json"
    config.write_text(json.dumps(former.to_config()))
    found = workspace.job(cell.teacher_cells[0])
    assert found.directory.name == former.default_name()
    assert found.run()["test_accuracy"] == teacher_accuracy(found.directory)


def teacher_accuracy(directory):
    return json.loads(directory.result_file.read_text())["test_accuracy"]


def test_a_run_records_where_its_data_went(place, tiny_spec, refusing, caplog):
    caplog.set_level("INFO", "keras_logitkd")
    copies = [place / name for name in ("first.npz", "second.npz")]
    shutil.copy(tiny_spec.removeprefix("npz:"), copies[0])
    run = distil(open_it(f"npz:{copies[0]}", place))
    config = run.directory.read_config()
    assert config["dataset"] == tiny_spec  # which is still there
    run.directory.start({**config, "dataset": f"npz:{copies[1]}"})
    distil(open_it(f"npz:{copies[0]}", place))
    assert run.directory.read_config() == {**config, "dataset": f"npz:{copies[0]}"}
    assert f"{run.directory.name}: its data are recorded as npz:{copies[0]} now" in caplog.text
    assert open_run(run.directory.path).result == run.result


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda arrays: arrays["x_train"].__setitem__(0, 0), id="image"),
        pytest.param(lambda arrays: arrays["y_train"].__setitem__(0, 1), id="label"),
        pytest.param(lambda arrays: arrays.update(class_names=["a", "b", "c"]), id="names"),
    ],
)
def test_another_training_part_is_another_run(finished, place, tiny_spec, change):
    spec = rewritten(tiny_spec, place / "tiny.npz", change)
    workspace = open_it(spec, place)
    job = workspace.job(workspace.distillation("wrn-10-1", "wrn-10-1", "kl:2", 0.5))
    assert job.directory.read_config() is None
    with pytest.raises(ValueError, match=r"other settings \(.*train_fingerprint"):
        dataclasses.replace(job, directory=finished[1].directory).run()


def test_another_test_part_is_measured_and_nothing_is_trained(
    finished, place, tiny_spec, refusing, caplog
):
    spec = rewritten(tiny_spec, place / "tiny.npz", other_tests)
    caplog.set_level("INFO", "keras_logitkd")
    workspace = open_it(spec, place)
    run = distil(workspace)
    old, new, test = finished[1].result, run.result, workspace.dataset.test
    pixels = test.images.array
    logits = load_model(run.directory.model_file("distill")).predict(pixels, verbose=0)
    taught = run.teachers[0].load().predict(pixels, verbose=0)
    assert new["test_accuracy"] == pytest.approx(np.mean(logits.argmax(-1) == test.labels))
    assert new["teacher_test_accuracy"] == pytest.approx(np.mean(taught.argmax(-1) == test.labels))
    assert new["test_agreement"] == pytest.approx(np.mean(taught.argmax(-1) == logits.argmax(-1)))
    assert new["test_fingerprint"] == test.fingerprint() != old["test_fingerprint"]
    same = ("train_loss", "seconds", "validation_accuracy", "versions", "train_examples")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new == json.loads(run.directory.result_file.read_text())
    assert run.teachers[0].result()["test_accuracy"] == new["teacher_test_accuracy"]
    lines = [record.getMessage() for record in caplog.records if "again" in record.getMessage()]
    assert len(lines) == 2
    assert run.directory.name in lines[0] + lines[1]
    assert run.result == distil(workspace).result
    assert distil(open_it(tiny_spec, place)).result["test_accuracy"] == old["test_accuracy"]


@pytest.mark.parametrize(("best", "is_known"), [(1, False), (2, True)])
def test_the_best_epoch_has_a_test_accuracy_while_its_weights_are_there(
    place, finished, tiny_spec, refusing, caplog, best, is_known
):
    file = place / "runs" / finished[1].directory.name / "result.json"
    result = json.loads(file.read_text())
    result["best_by_validation"] |= {"epoch": best, "test_accuracy": 7.0}
    file.write_text(json.dumps(result))
    caplog.set_level("INFO", "keras_logitkd")
    run = distil(open_it(rewritten(tiny_spec, place / "tiny.npz", other_tests), place))
    found = run.result["best_by_validation"]
    assert found["validation_accuracy"] == result["best_by_validation"]["validation_accuracy"]
    assert found.get("test_accuracy") == (run.result["test_accuracy"] if is_known else None)
    assert ("the best epoch, whose weights are not kept" in caplog.text) != is_known


def test_a_teacher_that_is_gone_is_left_out_and_not_trained_for_its_numbers(
    place, tiny_spec, refusing, caplog
):
    workspace = open_it(rewritten(tiny_spec, place / "tiny.npz", other_tests), place)
    cell = workspace.distillation("wrn-10-1", "wrn-10-1", "kl:2", 0.5, teacher_epochs=1)
    job = workspace.job(cell)
    shutil.move(place / "runs" / job.teachers[0].identity, place / "away")
    caplog.set_level("INFO", "keras_logitkd")
    result = job.run()
    assert "test_agreement" not in result
    assert "teacher_test_accuracy" not in result
    assert result["test_fingerprint"] == workspace.dataset.test.fingerprint()
    assert "Left out: the teacher's numbers" in caplog.text
    assert job.run() == result
    with pytest.raises(ValueError, match="is not the one that .* measured on with"):
        open_run(job.directory.path, dataset=workspace.dataset)
    shutil.move(place / "away", place / "runs" / job.teachers[0].identity)
    again = job.run()
    assert 0 <= again["test_agreement"] <= 1
    assert "teacher_test_accuracy" in again
    assert again["best_by_validation"] == result["best_by_validation"]
    assert open_run(job.directory.path, dataset=workspace.dataset).result == again


def test_numbers_without_a_test_fingerprint_stand(place, finished, tiny_spec, refusing):
    file = place / "runs" / finished[1].directory.name / "result.json"
    result = json.loads(file.read_text())
    del result["test_fingerprint"]
    file.write_text(json.dumps(result))
    assert distil(open_it(tiny_spec, place)).result == result


def test_stored_logits_of_training_views_are_kept(place, tiny_spec):
    before = {path.name for path in (place / "logits").iterdir()}
    workspace = open_it(rewritten(tiny_spec, place / "tiny.npz", other_tests), place)
    store = workspace.store_logits("wrn-10-1", teacher_epochs=1)
    assert store.path.name in before


def test_a_search_on_a_copy_is_the_same_search(place, tiny_spec):
    copy = shutil.copy(tiny_spec.removeprefix("npz:"), place / "copy.npz")
    searches = [
        Search(open_it(spec, place), "wrn-10-1", "wrn-10-1", 1)
        for spec in (tiny_spec, f"npz:{copy}")
    ]
    assert searches[0].path == searches[1].path
    assert searches[0].start() is None
    assert searches[1].start() is None


def test_a_search_of_version_0_1_is_found(tiny_spec, tmp_path):
    search = Search(open_it(tiny_spec, tmp_path), "wrn-10-1")
    config = search.to_config()
    del config["train_fingerprint"]
    former = search.path.with_name(search._name_of(config))
    former.mkdir(parents=True)
    (former / "search.json").write_text(json.dumps(config))
    again = Search(open_it(tiny_spec, tmp_path), "wrn-10-1")
    assert again.path == former != search.path
    assert again.start() is None
