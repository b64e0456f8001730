import csv
import dataclasses
import json
import math
import os
import pathlib
import re
import zlib

import keras
import keras_tuner
import numpy as np
import pytest

from keras_logitkd import DistillationHyperModel, Distiller, tuning
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.job import Job
from keras_logitkd.runs.workspace import open_workspace
from keras_logitkd.tuning import outcomes, workers
from keras_logitkd.tuning.space import Candidate, SearchSpace
from keras_logitkd.tuning.tuner import make_oracle

pytestmark = pytest.mark.usefixtures("tiny_networks")


class KilledError(Exception):
    pass


def drawn(space, count=40):
    """Candidates as KerasTuner's random search draws them."""
    oracle = make_oracle("random", space, count, epochs=1, seed=0)
    return [space.read(oracle._random_values()) for _ in range(count)]


def test_tau_is_drawn_on_a_log_axis_and_alpha_on_a_linear_one():
    space = SearchSpace(losses=("kl",), tau_range=(0.01, 100), alpha=(0.5, 0.9))
    candidates = drawn(space, 200)
    assert all(0.01 <= each.tau <= 100 and 0.5 <= each.alpha <= 0.9 for each in candidates)
    logs = np.log10([each.tau for each in candidates])
    assert np.mean(logs) == pytest.approx(0, abs=0.3)  # standard error 0.08
    assert np.mean([each.alpha for each in candidates]) == pytest.approx(0.7, abs=0.03)


def test_limits_are_choices_and_mse_has_no_temperature():
    candidates = drawn(SearchSpace(tau_choices=(0, math.inf)), 60)
    taus = {each.tau for each in candidates}
    assert {0.0, math.inf, None} <= taus
    assert all((each.tau is None) == (each.loss == "mse") for each in candidates)
    assert {each.alpha for each in candidates} == {1.0}
    assert Candidate("kl", math.inf, 1.0).objective == "kl:inf"
    assert Candidate("kl", 3.217, 1.0).objective == "kl:3.217"
    assert Candidate("mse", None, 1.0).objective == "mse"


def test_grid_holds_each_combination_once():
    space = SearchSpace(tau_range=(1, 100), tau_choices=(0, math.inf), alpha=(0, 1), points=3)
    kl = [
        {"loss": "kl", "tau": tau, "alpha": alpha}
        for tau in ("0", "1", "10", "100", "inf")
        for alpha in ("0", "0.5", "1")
    ]
    mse = [{"loss": "mse", "alpha": alpha} for alpha in ("0", "0.5", "1")]
    assert space.combinations() == kl + mse
    only = SearchSpace(losses=("kl",), tau_range=None, tau_choices=(4, 0.5), points=2)
    assert [space.read(each).tau for each in only.combinations() for space in [only]] == [0.5, 4]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"losses": ()}, "`losses`"),
        ({"losses": ("l1",)}, "'l1'"),
        ({"losses": ("kl", "kl")}, "each once"),
        ({"tau_range": (0, 3)}, "0 < low < high < inf"),
        ({"tau_range": (3, 3)}, "(3, 3)"),
        ({"tau_range": (1, math.inf)}, "inf"),
        ({"tau_range": (1, math.nan)}, "nan"),
        ({"tau_range": 3}, "tau_range=3"),
        ({"tau_choices": (-1,)}, "[0, inf]"),
        ({"tau_choices": (math.nan,)}, "nan"),
        ({"tau_choices": ("a",)}, "'a'"),
        ({"tau_choices": (1, 1.0)}, "different"),
        ({"tau_range": None}, "`tau_choices`"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"alpha": (0.5, 1.5)}, "(0.5, 1.5)"),
        ({"alpha": (0.5, 0.5)}, "low < high"),
        ({"points": 1}, "at least 2"),
    ],
)
def test_space_out_of_range_is_refused(arguments, part):
    with pytest.raises(ValueError, match="Received") as error:
        SearchSpace(**arguments)
    assert part in str(error.value)


DATA = np.random.default_rng(0)
X = DATA.normal(size=(96, 6)).astype("float32")
Y = (X @ DATA.normal(size=(6, 3))).argmax(axis=1)
FIT = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}


def dense(seed, units=8):
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units, "relu", kernel_initializer=_glorot(seed)),
            keras.layers.Dense(3, kernel_initializer=_glorot(seed + 1)),
        ]
    )


def _glorot(seed):
    return keras.initializers.GlorotUniform(seed=seed)


def student_of(hp):
    return dense(1)


def compile_options(hp):
    return {"optimizer": keras.optimizers.SGD(0.5), "metrics": ["accuracy"]}


def searched(tmp_path, hypermodel, train, validation):
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_accuracy", max_trials=3, seed=5, directory=tmp_path, project_name="p"
    )
    tuner.search(*train, validation_data=validation, **FIT)
    return tuner


def score_of(candidate, teacher):
    """What the best epoch of the same training by hand has."""
    distiller = Distiller(teacher, dense(1), candidate.objective, candidate.alpha)
    distiller.compile(**compile_options(None))
    history = distiller.fit(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), **FIT).history
    return max(history["val_accuracy"])


@pytest.mark.slow
def test_hypermodel_with_a_live_teacher_scores_what_the_distiller_does(tmp_path):
    teacher = dense(7, 32)
    before = teacher.get_weights()
    space = SearchSpace(tau_choices=(0, math.inf), alpha=(0.2, 1))
    hypermodel = DistillationHyperModel(student_of, teacher, space, compile_options)
    tuner = searched(tmp_path, hypermodel, (X[:64], Y[:64]), (X[64:], Y[64:]))
    trials = tuner.oracle.get_best_trials(3)
    assert len({trial.score for trial in trials}) > 1
    for trial in trials:
        candidate = space.read(trial.hyperparameters.values)
        assert trial.score == score_of(candidate, teacher)
    for then, now in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)
    assert tuner.get_best_models()[0].student.output_shape == (None, 3)


def test_hypermodel_with_stored_logits_scores_what_the_live_teacher_does(tmp_path):
    teacher = dense(7, 32)
    logits = np.asarray(teacher(X))
    parts = [
        (X[rows], {"label": Y[rows], "teacher_logits": logits[rows]})
        for rows in (slice(64), slice(64, None))
    ]
    hypermodel = DistillationHyperModel(student_of, compile_options=compile_options)
    tuner = searched(tmp_path, hypermodel, *parts)
    for trial in tuner.oracle.get_best_trials(3):
        candidate = SearchSpace().read(trial.hyperparameters.values)
        assert trial.score == score_of(candidate, teacher)


@pytest.mark.slow
def test_hypermodel_under_hyperband_goes_on_from_checkpoints(tmp_path):
    hypermodel = DistillationHyperModel(student_of, dense(7, 32), compile_options=compile_options)
    tuner = keras_tuner.Hyperband(
        hypermodel, "val_accuracy", max_epochs=3, seed=1, directory=tmp_path, project_name="p"
    )
    tuner.search(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), batch_size=16, verbose=0)
    assert any("tuner/trial_id" in t.hyperparameters.values for t in tuner.oracle.trials.values())
    assert all(trial.status == "COMPLETED" for trial in tuner.oracle.trials.values())


def test_hypermodel_needs_functions():
    with pytest.raises(TypeError, match="`student` must be a function"):
        DistillationHyperModel(dense(1))
    with pytest.raises(TypeError, match="`compile_options` must be a function"):
        DistillationHyperModel(student_of, compile_options={"optimizer": "sgd"})


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A directory with a dataset of 90 images in three classes and a teacher's file."""
    path = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = (rng.integers(0, 120, (90, 8, 8, 1)) + 45 * labels[:, None, None, None]).astype("u1")
    np.savez(
        path / "d.npz",
        x_train=images[:60],
        y_train=labels[:60],
        x_test=images[60:],
        y_test=labels[60:],
    )
    layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    teacher = keras.Sequential([*layers, keras.layers.Dense(3, kernel_initializer=_glorot(0))])
    teacher.save(path / "t.keras")
    return path


@pytest.fixture
def workspace(material, tmp_path):
    recipe = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "pad": 1, "validation": 0.3}
    runs = tmp_path / "runs"
    return open_workspace(
        f"npz:{material / 'd.npz'}",
        str(runs),
        recipe_fields=recipe,
        cache=LogitCache(str(runs / ".logits")),
    )


def _with_recipe(workspace, **fields):
    return dataclasses.replace(workspace, recipe=workspace.recipe.replace(**fields))


def new_search(workspace, material, **arguments):
    arguments = {"method": "random", "trials": 3, "name": "s", **arguments}
    search = tuning.Search(workspace, "wrn-10-1", str(material / "t.keras"), **arguments)
    search.start()
    return search


@pytest.mark.slow
def test_trial_is_bit_for_bit_the_run_with_its_settings(workspace, material):
    search = new_search(workspace, material, space=SearchSpace(alpha=(0.5, 1)))
    search.run()
    for row in search.rows():
        loss = Candidate(row["loss"], row["tau"] and float(row["tau"]), row["alpha"]).objective
        run = workspace.distill(
            "wrn-10-1", str(material / "t.keras"), loss=loss, alpha=row["alpha"]
        )
        assert run.result["validation_accuracy"] == row["validation_accuracy"]
        trial = search.path / "trials" / f"trial_{row['trial']}" / "metrics.csv"
        assert trial.read_text() == run.directory.metrics_file.read_text()
    assert [row["teacher_seconds"] > 0 for row in search.rows()] == [True, False, False]


@pytest.mark.slow
def test_hyperband_goes_on_where_the_shorter_trial_ended(workspace, material):
    space = SearchSpace(losses=("kl",), alpha=(0.5, 1))
    workspace = _with_recipe(workspace, epochs=3)
    search = new_search(workspace, material, method="hyperband", trials=4, space=space)
    best = search.run()
    *_, row = rows = search.rows()
    assert [row["epochs"] for row in rows] == [1, 1, 1, 3]
    assert best["search"]["trial"] == "3"
    objective = f"kl:{row['tau']:.12g}"
    run = workspace.distill(
        "wrn-10-1", str(material / "t.keras"), loss=objective, alpha=row["alpha"]
    )
    assert run.result["validation_accuracy"] == row["validation_accuracy"]
    assert not list(search.path.rglob("*.weights.h5"))


@pytest.fixture
def pretended(monkeypatch):
    """Trials that do not train: their accuracy is a function of their values."""
    state = {"count": 0, "kill_at": None}

    def validate(self, epochs=None):
        state["count"] += 1
        if state["count"] == state["kill_at"]:
            raise KilledError
        values = (self.settings.loss, self.settings.alpha, epochs)
        accuracy = zlib.crc32(repr(values).encode()) / 2**32
        return {"val_accuracy": accuracy, "seconds": 1.0, "teacher_seconds": 0.0}

    monkeypatch.setattr(Job, "validate", validate)
    return state


SPACES = {
    "random": SearchSpace(tau_choices=(0, math.inf), alpha=(0.5, 1)),
    "bayesian": SearchSpace(losses=("kl",)),  # two axes: the seventh trial is the model's choice
    "hyperband": SearchSpace(),
    "grid": SearchSpace(tau_range=(1, 8), tau_choices=(0, math.inf), points=4),
}


@pytest.mark.parametrize("method", SPACES)
def test_search_goes_on_after_a_kill_in_any_trial(workspace, material, pretended, method):
    arguments = {"method": method, "trials": 7, "space": SPACES[method]}
    whole = new_search(workspace, material, **arguments)
    whole.run()
    expected = [(row["loss"], row["tau"], row["alpha"], row["epochs"]) for row in whole.rows()]
    assert len(expected) == 7
    for kill_at in (1, 2, 5):
        pretended.update(count=0, kill_at=kill_at)
        name = f"killed-{kill_at}"
        search = new_search(workspace, material, name=name, **arguments)
        with pytest.raises(KilledError):
            search.run()
        assert not (search.path / "best.json").exists()
        search = new_search(workspace, material, name=name, **arguments)
        search.run()
        rows = search.rows()
        assert [(r["loss"], r["tau"], r["alpha"], r["epochs"]) for r in rows] == expected
        assert {row["status"] for row in rows} == {"finished"}
        assert pretended["count"] == 8  # none was trained twice


def test_trial_whose_record_was_cut_short_is_run_again(workspace, material, pretended):
    pretended["kill_at"] = 2
    search = new_search(workspace, material)
    with pytest.raises(KilledError):
        search.run()
    # As if killed between the two files: the trial is there, the oracle does not know of it.
    file = search.path / "trials" / "oracle.json"
    state = json.loads(file.read_text())
    state["ongoing_trials"], state["start_order"] = {}, state["start_order"][:1]
    file.write_text(json.dumps(state))
    search = new_search(workspace, material)
    search.run()
    assert [row["status"] for row in search.rows()] == ["finished"] * 3


def test_grid_ends_when_it_is_exhausted(workspace, material, pretended):
    space = SearchSpace(tau_range=(1, 100), points=3)
    search = new_search(workspace, material, method="grid", trials=50, space=space)
    search.run()
    assert [(row["loss"], row["tau"]) for row in search.rows()] == [
        ("kl", 1.0),
        ("kl", 10.0),
        ("kl", 100.0),
        ("mse", None),
    ]


def test_diverging_trial_is_a_failed_row_and_all_of_them_an_error(workspace, material, monkeypatch):
    def validate(self, epochs=None):
        if self.settings.loss != "mse":
            raise FloatingPointError("The loss became nan")
        return {"val_accuracy": 0.5, "seconds": 1.0, "teacher_seconds": 0.0}

    monkeypatch.setattr(Job, "validate", validate)
    space = SearchSpace(tau_range=(1, 100), points=3)
    search = new_search(workspace, material, method="grid", trials=9, space=space)
    best = search.run()
    assert best["options"]["loss"] == "mse"
    assert best["search"]["failed"] == 3
    with (search.path / "trials.csv").open(newline="") as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    assert statuses == ["failed"] * 3 + ["finished"]
    only_kl = SearchSpace(losses=("kl",))
    with pytest.raises(FloatingPointError, match="None of 3 trials"):
        new_search(workspace, material, name="bad", space=only_kl).run()


def test_best_is_the_longest_trained_then_the_first_most_accurate():
    def row(trial, epochs, accuracy, status="finished"):
        return {
            "trial": trial, "epochs": epochs, "validation_accuracy": accuracy, "status": status
        }  # fmt: skip

    rows = [row("0", 1, 0.9), row("1", 3, 0.7), row("2", 3, 0.8), row("3", 3, 0.8)]
    assert outcomes.best_of([*rows, row("4", 3, None, "failed")])["trial"] == "2"
    assert outcomes.best_of([row("0", 1, None, "failed")]) is None


def settled(workspace, material):
    cell = workspace.distillation("wrn-10-1", str(material / "t.keras"))
    teachers = workspace.teachers(cell)
    return workspace.settings(cell, teachers), teachers


def test_validate_needs_held_out_examples_and_writes_no_result(workspace, material, tmp_path):
    settings, teachers = settled(workspace, material)
    directory = RunDirectory(tmp_path, "v")
    directory.path.mkdir()
    job = Job(settings, workspace, directory, teachers)
    first = job.validate()
    again = job.validate()  # all epochs are done
    assert again["val_accuracy"] == first["val_accuracy"]
    assert directory.read_result() is None
    whole = _with_recipe(workspace, validation=0.0)
    settings, teachers = settled(whole, material)
    with pytest.raises(ValueError, match="`validation` must hold out"):
        Job(settings, whole, directory, teachers).validate()


def test_only_one_process_searches_in_a_directory(workspace, material, pretended, monkeypatch):
    monkeypatch.setattr("keras_logitkd.tuning.search._LOCK_SECONDS", 0.0)
    search = new_search(workspace, material)
    with search._locked(), pytest.raises(ValueError, match="Another process searches"):
        search.run()


def test_bayesian_search_finds_the_peak(workspace, material, monkeypatch):
    def validate(self, epochs=None):
        tau = float(self.settings.loss.partition(":")[2])
        return {"val_accuracy": 1 - math.log10(tau / 5) ** 2 / 9, "seconds": 1.0}

    monkeypatch.setattr(Job, "validate", validate)
    search = new_search(workspace, material, method="bayesian", trials=12, space=SPACES["bayesian"])
    assert 4 < search.run()["options"]["tau"] < 6.25
    taus = [row["tau"] for row in search.rows()]
    assert max(abs(math.log10(tau / 5)) for tau in taus[:6]) > 0.5


@pytest.mark.slow
def test_page_on_tuning_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = pathlib.Path(__file__).parents[2] / "docs" / "tuning.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(block, {})  # noqa: S102
    assert pathlib.Path("student.keras").is_file()


CHIEF_AND = """
import os, pathlib, signal, sys, time
name = os.environ["KERASTUNER_TUNER_ID"]
assert os.environ["KERASTUNER_ORACLE_IP"] == "127.0.0.1"
assert int(os.environ["KERASTUNER_ORACLE_PORT"]) > 0
print("threads", os.environ["TF_NUM_INTRAOP_THREADS"], flush=True)
if name == "chief":
    {chief}
    time.sleep(60)
"""


def run_script(tmp_path, worker, chief="pass"):
    script = CHIEF_AND.format(chief=chief) + worker
    told = []
    workers.run_members([os.sys.executable, "-c", script], 2, tmp_path, told.extend)
    return told


def test_members_end_with_their_workers(tmp_path):
    assert run_script(tmp_path, "pass") == []
    threads = max(1, os.cpu_count() // 2)
    for name in ("chief", "worker-0", "worker-1"):
        assert (tmp_path / f"{name}.log").read_text() == f"threads {threads}\n"


def test_killed_worker_is_started_again(tmp_path):
    mark = tmp_path / "mark"
    worker = f"""
mark = pathlib.Path({str(mark)!r})
if name == "worker-1" and not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    (line,) = run_script(tmp_path, worker)
    assert "worker-1 ended with signal SIGKILL (too little memory?). " in line


@pytest.mark.parametrize(
    ("worker", "chief", "parts"),
    [
        ("sys.exit('disk full') if name == 'worker-0' else time.sleep(60)", "pass",
         ("worker-0", "exit code 1", "disk full")),
        ("time.sleep(60)", "sys.exit('no port')", ("chief", "exit code 1", "no port")),
        ("os.kill(os.getpid(), signal.SIGKILL)", "pass", ("worker", "SIGKILL")),
    ],
)  # fmt: skip
def test_dead_member_is_reported_and_nothing_hangs(tmp_path, worker, chief, parts):
    with pytest.raises(tuning.WorkerError) as error:
        run_script(tmp_path, worker, chief)
    for part in parts:
        assert part in str(error.value)


def test_member_needs_all_three_variables(monkeypatch):
    assert workers.member() is None
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_PORT"):
        workers.member()


def test_settings_that_differ_are_named(workspace, material):
    search = new_search(workspace, material)
    assert json.loads(pathlib.Path(search.path / "search.json").read_text())["trials"] == 3
    with pytest.raises(ValueError, match=r"other settings \(alpha, trials\)"):
        new_search(workspace, material, trials=4, space=SearchSpace(alpha=0.5))


def test_feature_methods_are_losses_to_choose_from():
    space = SearchSpace(
        losses=("mse", "at:weight=5,mode=paper", "mse+at"), alpha=(0.5, 1), points=2
    )
    found = [space.read(values) for values in space.combinations()]
    assert [(each.objective, each.alpha) for each in found] == [
        *(("mse", 0.5), ("mse", 1.0), ("mse+at", 0.5), ("mse+at", 1.0)),
        ("at:weight=5,mode=paper", 1.0),
    ]
    with pytest.raises(ValueError, match="`loss` must be made of .*Received: 'att'"):
        SearchSpace(losses=("att",))
