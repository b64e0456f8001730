"""KerasTuner's oracles and tuner, such that a search survives a kill at any moment."""

import os
import pathlib

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from keras_logitkd.storage.atomic import write_json

# What chooses among trials: a metric of theirs, and the column of trials.csv that has it.
OBJECTIVE = "val_accuracy"
OBJECTIVES = {
    OBJECTIVE: "validation_accuracy",
    "val_balanced_accuracy": "validation_balanced_accuracy",
}
METHODS = ("random", "grid", "bayesian", "hyperband")
PROJECT = "trials"
_COLLISIONS = 1000


class _Durable:
    """An oracle whose files appear whole, and that forgets no trial which was begun."""

    def save(self):
        write_json(pathlib.Path(self._get_oracle_fname()), self.get_state())

    def reload(self):
        super().reload()
        for trial_id in sorted(self.trials):
            lost = self.trials[trial_id].status == "RUNNING" and trial_id not in self._retry_queue
            if lost:  # killed between the writing of trial.json and of oracle.json
                self._retry_queue.append(trial_id)

    def _save_trial(self, trial):
        file = pathlib.Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        write_json(file, trial.get_state())


class _Random(_Durable, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Bayesian(_Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(_Durable, keras_tuner.oracles.HyperbandOracle):
    pass


class _Grid(_Durable, keras_tuner.Oracle):
    """Takes combinations one after the other.

    KerasTuner's own grid does not save its place: continued after a kill, it ends with a KeyError
    (keras-team/keras-tuner, issue 1055).
    """

    def __init__(self, combinations, **arguments):
        super().__init__(**arguments)
        self.combinations = combinations

    def populate_space(self, trial_id):
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        for values in self.combinations:
            if values not in tried:
                return {"status": "RUNNING", "values": dict(values)}
        return {"status": "STOPPED"}


def make_oracle(method, space, trials, epochs, seed, objective=OBJECTIVE):
    """Returns the `keras_tuner.Oracle` of a search.

    Args:
        method: one of `METHODS`.
        space: a `SearchSpace`; for a grid it must have `points`.
        trials: how many trials at most.
        epochs: of a full training; Hyperband gives most trials fewer.
        seed: integer >= 0.
        objective: one of `OBJECTIVES`. Defaults to the validation accuracy.
    """
    hyperparameters = keras_tuner.HyperParameters()
    space.declare(hyperparameters)
    arguments = {
        "objective": keras_tuner.Objective(objective, "max"),
        "hyperparameters": hyperparameters,
        "seed": seed + 1,  # KerasTuner draws a seed of its own where it is given 0.
        "max_consecutive_failed_trials": trials + 1,  # A trial that diverges is a result.
    }
    if method == "hyperband":
        oracle = _Hyperband(max_epochs=epochs, hyperband_iterations=trials, **arguments)
        oracle.max_trials = trials
    elif method == "grid":
        oracle = _Grid(space.combinations(), max_trials=trials, **arguments)
    else:
        oracle = {"random": _Random, "bayesian": _Bayesian}[method](max_trials=trials, **arguments)
    # Discrete parts of a space are soon exhausted; 20 draws in vain would end the search.
    oracle._max_collisions = _COLLISIONS
    oracle.verbose = 0
    return oracle


class TrialTuner(BaseTuner):
    """Runs trials by a function, alone or as a member of KerasTuner's distributed mode.

    Args:
        oracle: of `make_oracle`.
        directory: of the search; the trials are in `trials` below it.
        run: function from a `keras_tuner` trial to its metrics, a dict with the
            objective.
        after: function of a trial that has ended and was recorded.
    """

    def __init__(self, oracle, directory, run, after):
        self._run, self._after = run, after
        super().__init__(oracle, directory=str(directory), project_name=PROJECT)

    def run_trial(self, trial):
        return self._run(trial)

    def on_search_begin(self):
        self.save()  # A kill during the first trial finds the search again, too.

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self._after(trial)

    def save(self):
        if hasattr(self.oracle, "save"):  # A worker's is at the chief's end of the line.
            self.oracle.save()
            write_json(pathlib.Path(self._get_tuner_fname()), self.get_state())

    def _try_run_and_update_trial(self, trial):
        # KerasTuner's own takes every error for the trial's failure, and prints it. Here numbers
        # that are not finite are; a full disk is not, and ends the search.
        try:
            self._run_and_update_trial(trial)
            trial.status = "COMPLETED"
        except FloatingPointError as error:
            trial.status, trial.message = "FAILED", str(error)

    def _get_tuner_fname(self):
        # One name, whatever the member is called: a search may go on with other workers.
        return os.path.join(self.project_dir, "tuner.json")
