import csv
import json
import pathlib
import statistics

import pytest

from keras_logitkd.data import pipeline
from keras_logitkd.runs.job import Job

QUICK = ("--epochs", "1", "--batch-size", "256", "--views", "1")
TUNE = ("tune", "--student", "wrn-10-1", "--teacher", "t.keras", *QUICK)
NAMED = (*TUNE, "--name", "s", "--trials", "3", "--tau-choices", "0,inf")


class KilledError(Exception):
    pass


pytestmark = pytest.mark.usefixtures("small_teacher", "tiny_networks")


def rows_of(name):
    with pathlib.Path("runs", name, "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read(*parts):
    return json.loads(pathlib.Path(*parts).read_text())


def without_test_set(monkeypatch):
    """Makes every look at the test set an error."""
    batches = pipeline.eval_batches

    def refuse(split, *arguments, **named):
        if split.name == "test":
            raise KilledError("the test set was read")
        return batches(split, *arguments, **named)

    monkeypatch.setattr(pipeline, "eval_batches", refuse)


def test_search_is_killed_continued_found_and_distilled(run, monkeypatch):
    trials = []
    validate = Job.validate

    def dying(self, *arguments):
        trials.append(self.settings.loss)
        if len(trials) == 2:
            raise KeyboardInterrupt
        return validate(self, *arguments)

    with monkeypatch.context() as patched:
        without_test_set(patched)
        patched.setattr(Job, "validate", dying)
        code, out, err = run(*NAMED)
        assert (code, out) == (130, "")
        assert not pathlib.Path("runs/s/best.json").exists()
        assert [row["status"] for row in rows_of("s")] == ["finished"]

        code, out, err = run(*NAMED, "--json")
        assert code == 0, err
    assert len(trials) == 4
    assert trials[1] == trials[2]  # the one that was killed is run again, no other is
    report = json.loads(out)
    assert [row["status"] for row in report["trials"]] == ["finished"] * 3
    accuracies = [row["validation_accuracy"] for row in report["trials"]]
    assert report["search"]["validation_accuracy"] == max(accuracies)
    assert [float(row["teacher_seconds"]) > 0 for row in rows_of("s")] == [True, False, False]
    assert len(rows_of("s")) == 3
    assert len({(row["loss"], row["tau"]) for row in rows_of("s")}) == 3
    assert json.loads(run("runs", "--json")[1]) == []

    code, out, err = run(*NAMED)
    assert code == 0, err
    assert "Best by validation" in out
    assert len(trials) == 4
    code, _, err = run(*NAMED, "--epochs", "2", "--alpha-range", "0.5,1")
    assert code == 2
    assert "other settings (alpha, epochs)" in err

    code, out, err = run("distill", "--config", "runs/s/best.json", "--seeds", "0,3", "--json")
    assert code == 0, err
    report, best = json.loads(out), read("runs/s/best.json")
    first, second = report["runs"]
    assert (first["seed"], second["seed"]) == (0, 3)
    assert first["validation_accuracy"] == best["search"]["validation_accuracy"]
    tests = [each["test_accuracy"] for each in report["runs"]]
    assert report["summary"]["student"]["test_accuracy"] == {
        "mean": statistics.fmean(tests),
        "standard_deviation": statistics.stdev(tests),
        "n": 2,
        "min": min(tests),
        "max": max(tests),
    }
    config = read(first["run"], "config.json")
    assert config["alpha"] == best["options"]["alpha"]
    assert config["recipe"]["epochs"] == 1
    code, out, _ = run("distill", "--config", "runs/s/best.json", "--seeds", "0,3")
    assert "n = 2" in out


def test_command_line_wins_over_the_config(run):
    options = {
        "student": "wrn-10-1", "teacher": "t.keras", "loss": "kl", "tau": "inf", "seeds": "0,1",
        "epochs": 7, "batch-size": 256, "lr-drops": [0.25, 0.5], "flip": True, "views": 1,
    }  # fmt: skip
    pathlib.Path("c.json").write_text(json.dumps({"options": options}))
    code, _, err = run(
        "distill", "--config", "c.json", "--loss", "mse", "--seed", "4", "--epochs", "1",
        "--name", "r",
    )  # fmt: skip
    assert code == 0, err
    config = read("runs/r/config.json")
    assert (config["loss"], config["seed"], config["views"]) == ("mse", 4, 1)
    recipe = config["recipe"]
    assert (recipe["epochs"], recipe["lr_drops"], recipe["flip"]) == (1, [0.25, 0.5], True)


def test_named_runs_over_seeds_with_a_baseline(run):
    code, out, err = run(
        "distill", "--student", "wrn-10-1", "--teacher", "t.keras", *QUICK, "--seeds", "5",
        "--name", "x", "--baseline",
    )  # fmt: skip
    assert code == 0, err
    assert pathlib.Path("runs/x-s5/result.json").is_file()
    assert "student: test accuracy" in out
    assert "baseline: test accuracy" in out
    assert "± - (mean" in out


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("{", ("no JSON",)),
        ("[]", ('an object "options"',)),
        ('{"options": {"epoch": 3}}', ("'epoch'", "'epochs'")),
        ('{"option": {}}', ("'option'", "'options'")),
        ('{"options": {"learning-rate": NaN}}', ("`learning_rate`", "finite")),
        ('{"options": {"alpha": 2}}', ("--alpha", "2")),
        ('{"options": {"name": "../x"}}', ("`name`", "../x")),
        ('{"options": {"epochs": "x"}}', ("--epochs", "'x'")),
        ('{"options": {"epochs": 1.5}}', ("--epochs", "'1.5'")),
        ('{"options": {"epochs": true}}', ("'epochs'", "true")),
        ('{"options": {"flip": 1}}', ("'flip'", "true or false")),
        ('{"options": {"epochs": {}}}', ("'epochs'", "{}")),
        ('{"options": {"loss": "l1"}}', ("--loss", "l1")),
        ('{"options": {"seeds": "0,x"}}', ("--seeds", "0,x")),
    ],
)
def test_bad_config_is_one_line_and_exit_code_2(run, content, parts):
    pathlib.Path("c.json").write_text(content)
    refused(run, ("distill", "--student", "wrn-10-1", "--config", "c.json"), parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((*TUNE, "--losses", ""), ("`losses`", "losses=()")),
        ((*TUNE, "--losses", "l1"), ("`loss`", "'l1'")),
        ((*TUNE, "--losses", "mse", "--tau-range", "1,2"), ("--tau-range", "--losses")),
        ((*TUNE, "--tau-range", "1"), ("--tau-range", "two numbers")),
        ((*TUNE, "--tau-range", "0,2"), ("`tau_range`", "0 < low < high < inf")),
        ((*TUNE, "--tau-range", "none"), ("`tau_choices`",)),
        ((*TUNE, "--tau-choices", "1,x"), ("--tau-choices", "1,x")),
        ((*TUNE, "--tau-choices", "-1"), ("`tau_choices`", "-1")),
        ((*TUNE, "--tau-choices", "nan"), ("`tau_choices`", "nan")),
        ((*TUNE, "--alpha-range", "0.5,2"), ("`alpha`", "2.0")),
        ((*TUNE, "--trials", "0"), ("--trials", "0")),
        ((*TUNE, "--workers", "0"), ("--workers", "0")),
        ((*TUNE, "--validation", "0"), ("`validation`", "--validation 0.1")),
        ((*TUNE, "--search", "anneal"), ("--search", "anneal", "bayesian")),
        ((*TUNE, "--grid-points", "3"), ("--grid-points", "grid")),
        ((*TUNE, "--name", "../x"), ("`name`", "../x")),
        ((*TUNE, "--runs-dir", "t.keras"), ("t.keras",)),
        (("distill", "--student", "wrn-10-1", "--seeds", "1,1"), ("--seeds", "1,1")),
        (("distill", "--student", "wrn-10-1", "--seeds", "1", "--seed", "2"), ("--seed",)),
        (("distill", "--student", "wrn-10-1", "--config", "no.json"), ("--config", "no.json")),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, parts):
    refused(run, arguments, parts)


def refused(run, arguments, parts):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("logitkd: error: ")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err
    assert not pathlib.Path("runs").exists()


def test_part_of_the_variables_is_refused(run, monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    refused(run, TUNE, ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "grid"])
def test_two_workers_record_the_trials_of_one(run, method):
    search = (*TUNE, "--search", method, "--trials", "4", "--tau-range", "1,8", "--json")
    code, out, err = run(*search, "--name", "one")
    assert code == 0, err
    one = json.loads(out)["trials"]
    code, out, err = run(*search, "--name", "two", "--workers", "2")
    assert code == 0, err
    two = json.loads(out)["trials"]
    assert [row["status"] for row in two] == ["finished"] * 4

    def points(rows):
        return [(row["trial"], row["loss"], row["tau"], row["alpha"]) for row in rows]

    assert points(two) == points(one)
    for name in ("chief", "worker-0", "worker-1"):
        assert pathlib.Path("runs/two", f"{name}.log").is_file()


def test_balanced_accuracy_chooses(run, monkeypatch, caplog):
    """Of three trials the one with the most balanced accuracy, which has the least accuracy."""

    def validate(self, epochs=None, balanced=False):
        assert balanced
        number = int(self.directory.name.removeprefix("trial_"))
        measured = {"val_accuracy": 0.9 - number / 10, "val_balanced_accuracy": 0.5 + number / 10}
        return {**measured, "seconds": 1.0, "teacher_seconds": 0.0}

    monkeypatch.setattr(Job, "validate", validate)
    arguments = (*NAMED, "--objective", "val_balanced_accuracy")
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "Best by validation: trial 2" in out
    assert out.splitlines()[0].split()[-1] == "balanced"
    assert "balanced 0.7000" in caplog.text
    assert [float(row["validation_balanced_accuracy"]) for row in rows_of("s")] == pytest.approx(
        [0.5, 0.6, 0.7]
    )
    best = read("runs", "s", "best.json")["search"]
    assert (best["validation_balanced_accuracy"], best["validation_accuracy"]) == pytest.approx(
        (0.7, 0.7)
    )
    assert read("runs", "s", "search.json")["objective"] == "val_balanced_accuracy"
    code, _, err = run(*NAMED)
    assert code == 2
    assert "other settings (objective)" in err
