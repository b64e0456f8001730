"""A search on disk: its settings, its trials, and the best of them as options of `distill`."""

import contextlib
import csv
import dataclasses
import io
import logging

from keras_logitkd.model_specs import name_of
from keras_logitkd.runs.checkpointing.checkpoint_files import copy_newest
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.job import Job
from keras_logitkd.runs.spec.settings import differing_settings, identity_of, safe_name
from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import making, read_json, replacing, write_json
from keras_logitkd.storage.lock import NAME, FileLock
from keras_logitkd.tuning import outcomes, workers
from keras_logitkd.tuning.space import SearchSpace
from keras_logitkd.tuning.tuner import (
    METHODS,
    OBJECTIVE,
    OBJECTIVES,
    PROJECT,
    TrialTuner,
    make_oracle,
)

_LOCK_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Search:
    """Trials of one student over a search space, judged by an accuracy on the validation part.

    A trial trains as `distill` does, with the workspace's recipe and seed; its number is that of
    its last epoch, because the last epoch is what `distill` reports and saves. The test set is
    not read. The directory holds `search.json` (all settings), `trials` (KerasTuner's files, and
    metrics.csv of each trial), `trials.csv`, and, when the search is done, `best.json`: options
    of `logitkd distill`.

    Args:
        workspace: a `Workspace`; its recipe must hold out a validation part.
        student, teacher, teacher_epochs: as for `Workspace.distill`.
        space: a `SearchSpace`. Defaults to that of its defaults.
        method: `"random"`, `"grid"`, `"bayesian"` or `"hyperband"`. Defaults to `"random"`.
        trials: how many at most; a grid ends when it is exhausted. Defaults to 10.
        name: of the directory below the runs. Defaults to one made from the settings.
        objective: `"val_accuracy"`, or `"val_balanced_accuracy"`, the mean of the accuracies of the
            classes. Defaults to the first.

    Raises:
        ValueError: If an argument is out of range, or as `Workspace.distill` says.
    """

    def __init__(
        self,
        workspace,
        student,
        teacher=None,
        teacher_epochs=None,
        space=None,
        method="random",
        trials=10,
        name=None,
        objective=OBJECTIVE,
    ):
        self.space = SearchSpace() if space is None else space
        _check(workspace, self.space, method, trials, objective)
        self.objective = objective
        self.workspace, self.method, self.trials = workspace, method, trials
        self.teacher_epochs = teacher_epochs
        cell = workspace.distillation(student, teacher, teacher_epochs=teacher_epochs)
        job = workspace.job(cell)
        self.settings, self.teachers = job.settings, job.teachers
        self.directory = RunDirectory(
            workspace.runs_dir, self._found_name() if name is None else name
        )
        self.path = self.directory.path

    def to_config(self):
        """Returns all settings as JSON types, the content of search.json."""
        config = {**self.settings.to_config(), **self.space.to_config()}
        del config["loss"]
        config |= {"kind": "tune", "method": self.method, "trials": self.trials}
        return config | ({} if self.objective == OBJECTIVE else {"objective": self.objective})

    def _found_name(self):
        """The default name, or that of version 0.1 where the search of these data has it."""
        config = self.to_config()
        former = {name: value for name, value in config.items() if name != "train_fingerprint"}
        own, before = map(self._name_of, (config, former))
        there = RunDirectory(self.workspace.runs_dir, before).path / "search.json"
        return before if there.is_file() else own

    def _name_of(self, config):
        identity = identity_of(config)
        if "devices" in config:  # these were in the names of searches from the first
            identity["devices"] = config["devices"]
        model = safe_name(name_of(self.settings.model))
        return f"tune-{self.method}-{model}-{hashing.of_json(identity)[:8]}"

    def start(self):
        """Creates the directory, or finds it.

        Returns:
            The content of best.json where the search is finished already, or None.

        Raises:
            ValueError: If the directory holds something else or cannot be written.
        """
        config, file = self.to_config(), self.path / "search.json"
        previous = read_json(file)
        if previous is not None and (names := differing_settings(config, previous)):
            raise ValueError(
                f"{self.path} holds a search with other settings ({', '.join(names)}). "
                "Give another name, or remove it"
            )
        if previous is None and self.directory.config_file.exists():
            raise ValueError(f"{self.path} holds a run, not a search. Give another name")
        with making(self.path, "search"):
            if previous is None:
                write_json(file, config)
        return read_json(self.path / "best.json")

    def run(self, count=1, command=()):
        """Runs the trials that are missing and writes trials.csv and best.json.

        Args:
            count: how many worker processes. Defaults to 1: this one.
            command: list of strings, the command of a worker, which calls `join`.

        Returns:
            The content of best.json.

        Raises:
            ValueError: If another process searches here.
            WorkerError: As `workers.run_members` does.
            FloatingPointError: If no trial came to an end.
        """
        with self._locked() as lock:
            for teacher in self.teachers:
                teacher.prepare()
            if count == 1:
                self.join()
            else:
                told = {row["trial"] for row in self.rows() if row["status"] != outcomes.UNFINISHED}
                workers.run_members(
                    command, count, self.path, lambda lines: self._tell(lines, told), [lock]
                )
            return self.finish()

    def join(self):
        """Runs trials until there are none left to begin: alone, or as KerasTuner's variables say.

        Raises:
            ValueError: As `Job.validate` does; the search is continued when it is run again.
        """
        epochs, seed = self.settings.recipe.epochs, self.settings.seed
        oracle = make_oracle(self.method, self.space, self.trials, epochs, seed, self.objective)
        # KerasTuner prints.
        with contextlib.redirect_stdout(io.StringIO()):
            TrialTuner(oracle, self.path, self._run_trial, self._after).search()

    def rows(self):
        """Returns a dict for each trial: the columns of trials.csv."""
        epochs = self.settings.recipe.epochs
        return outcomes.trial_rows(self.path / PROJECT, self.space, epochs, self.objective)

    def finish(self):
        """Writes trials.csv and best.json. Returns the content of the latter; raises as `run`."""
        rows = self.write_table()
        if unfinished := [row["trial"] for row in rows if row["status"] == outcomes.UNFINISHED]:
            raise workers.WorkerError(
                f"Trials {unfinished} of {self.path} are unfinished. Run the same command again"
            )
        best = outcomes.best_of(rows, self.objective)
        if best is None:
            raise FloatingPointError(
                f"None of {len(rows)} trials in {self.path} came to an end with finite numbers. "
                "Lower the learning rate"
            )
        for row in rows:
            self._trial_directory(row["trial"]).finish(row)
        content = {
            "options": outcomes.options_of(
                self.workspace, self.settings, self.teacher_epochs, best
            ),
            "search": outcomes.summary_of(rows, best, self.method, self.path),
        }
        write_json(self.path / "best.json", content)
        return content

    def write_table(self):
        """Writes trials.csv as far as it is known. Returns its rows."""
        rows = self.rows()
        with replacing(self.path / "trials.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, outcomes.columns_of(self.objective), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return rows

    def _run_trial(self, trial):
        """Trains a trial, from where it was left. Returns its metrics as KerasTuner takes them."""
        values = trial.hyperparameters.values
        candidate = self.space.read(values)
        settings = dataclasses.replace(
            self.settings, loss=candidate.objective, alpha=candidate.alpha
        )
        directory = self._trial_directory(trial.trial_id)
        if past := values.get("tuner/trial_id"):
            copy_newest(self._trial_directory(past), directory)
        epochs = values.get("tuner/epochs")
        job = Job(settings, self.workspace, directory, self.teachers)
        is_plain = self.objective == OBJECTIVE
        metrics = job.validate(epochs) if is_plain else job.validate(epochs, balanced=True)
        kept = (*OBJECTIVES, "seconds", "teacher_seconds")
        return {name: metrics[name] for name in kept if name in metrics}

    def _after(self, trial):
        row = next(row for row in self.rows() if row["trial"] == trial.trial_id)
        if self.method != "hyperband":  # where later trials go on from checkpoints of earlier ones
            self._trial_directory(trial.trial_id).finish(row)
        if workers.member() is None:
            self.write_table()
            _log.info("%s", outcomes.line_of(row))

    def _tell(self, lines, told):
        """Logs what is new: some lines, and the trials that have ended."""
        for line in lines:
            _log.warning("%s", line)
        ended = [row for row in self.rows() if row["status"] != outcomes.UNFINISHED]
        for row in ended:
            if row["trial"] not in told:
                told.add(row["trial"])
                self.write_table()
                _log.info("%s", outcomes.line_of(row))

    def _trial_directory(self, trial_id):
        return RunDirectory.at(self.path / PROJECT / f"trial_{trial_id}")

    @contextlib.contextmanager
    def _locked(self):
        """Keeps other processes from searching here. Gives the lock's file descriptor."""
        lock = FileLock(self.path / NAME, f"Another process searches in {self.path}")
        with lock.held(_LOCK_SECONDS):
            yield lock.descriptor


def _check(workspace, space, method, trials, objective):
    if objective not in OBJECTIVES:
        raise ValueError(
            f"`objective` must be one of {(*OBJECTIVES,)}. Received: objective={objective!r}"
        )
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: method={method!r}")
    if trials < 1:
        raise ValueError(f"`trials` must be at least 1. Received: trials={trials}")
    if (method == "grid") != (space.points is not None):
        raise ValueError(
            "`points` must be given for a grid, and only there. "
            f"Received: method={method!r}, points={space.points}"
        )
    data = workspace.dataset
    if not len(workspace.recipe.split(data.train.labels, data.validation)[1]):
        raise ValueError(
            "`validation` must hold out examples that choose among the trials, such as "
            f"--validation 0.1. Received: validation={workspace.recipe.validation:g}"
        )
