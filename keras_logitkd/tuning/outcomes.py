"""What a search tells: rows of trials, the best, and its options for `logitkd distill`."""

import dataclasses
import operator

from keras_logitkd import model_specs
from keras_logitkd.runs.final_numbers import installed_versions
from keras_logitkd.storage.atomic import read_json
from keras_logitkd.tuning.tuner import OBJECTIVE, OBJECTIVES

COLUMNS = (
    *("trial", "status", "loss", "tau", "alpha", "epochs"),
    *("validation_accuracy", "seconds", "teacher_seconds"),
)
BALANCED = OBJECTIVES["val_balanced_accuracy"]  # a column more, where it is the objective
UNFINISHED, FINISHED, FAILED = "unfinished", "finished", "failed"
SEEDS = "0,1,2"
_STATUS = {"COMPLETED": FINISHED, "FAILED": FAILED, "INVALID": FAILED}


def columns_of(objective):
    """Returns the columns of trials.csv of a search with this objective."""
    return COLUMNS if objective == OBJECTIVE else (*COLUMNS, OBJECTIVES[objective])


def trial_rows(project_dir, space, epochs, objective=OBJECTIVE):
    """Returns a dict of `columns_of` for each trial below KerasTuner's directory, by number.

    `epochs` are those of a trial whose values do not say it.
    """
    rows = []
    for file in project_dir.glob("trial_*/trial.json"):
        state = read_json(file)
        values = state["hyperparameters"]["values"]
        candidate = space.read(values)
        metrics = {
            name: history["observations"][0]["value"][0]
            for name, history in state["metrics"]["metrics"].items()
            if history["observations"]
        }
        row = {
            "trial": state["trial_id"],
            "status": _STATUS.get(state["status"], UNFINISHED),
            "loss": candidate.loss,
            "tau": None if candidate.tau is None else number(candidate.tau),
            "alpha": candidate.alpha,
            "epochs": values.get("tuner/epochs", epochs),
            "validation_accuracy": metrics.get(OBJECTIVE),
            "seconds": _rounded(metrics.get("seconds")),
            "teacher_seconds": _rounded(metrics.get("teacher_seconds")),
        }
        rows.append(row | {OBJECTIVES[objective]: metrics.get(objective)})
    return sorted(rows, key=lambda row: int(row["trial"]))


def best_of(rows, objective=OBJECTIVE):
    """Returns the best finished row, or None: of the longest trained, the first most accurate."""
    finished = [row for row in rows if row["status"] == FINISHED]
    longest_then_best = operator.itemgetter("epochs", OBJECTIVES[objective])
    return max(finished, key=longest_then_best, default=None)


def options_of(workspace, settings, teacher_epochs, best):
    """Returns the options of `logitkd distill`, by their long names, that train a search's row."""
    recipe = dataclasses.asdict(settings.recipe)
    del recipe["teacher"]
    cache = workspace.cache
    options = {
        "student": settings.model,
        "teacher": ",".join(map(_absolute, settings.teacher.split(","))),
        "teacher_epochs": teacher_epochs,
        "loss": best["loss"],
        "tau": best["tau"],
        "alpha": best["alpha"],
        "seeds": SEEDS,
        "dataset": settings.dataset,
        "data_dir": settings.data_dir,
        "runs_dir": str(workspace.runs_dir),
        "views": settings.views,
        "logit_dtype": settings.logit_dtype,
        "cache_dir": cache and cache.directory,
        "no_cache": True if cache is None else None,
        **recipe,
    }
    return {
        name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None
    }


def summary_of(rows, best, method, path):
    """Returns the record of a search: what was best among how many trials, and the time."""
    finished = [row for row in rows if row["status"] == FINISHED]
    return {
        "validation_accuracy": best["validation_accuracy"],
        **({BALANCED: best[BALANCED]} if BALANCED in best else {}),
        "trial": best["trial"],
        "method": method,
        "trials": len(rows),
        "failed": len(rows) - len(finished),
        "seconds": round(sum(row["seconds"] for row in finished), 2),
        "teacher_seconds": round(sum(row["teacher_seconds"] or 0 for row in finished), 2),
        "directory": str(path),
        "versions": installed_versions(),
    }


def line_of(row):
    """A trial in one line, for a log."""
    tau = "" if row["tau"] is None else f" tau {row['tau']}"
    text = f"trial {row['trial']}  {row['loss']}{tau}  alpha {row['alpha']:g}"
    if row["status"] != FINISHED:
        return f"{text}  {row['status']}: its numbers were not finite"
    teacher = row["teacher_seconds"]
    teacher = "" if teacher is None else f" (teacher {teacher:.1f} s)"
    accuracy = f"validation accuracy {row['validation_accuracy']:.4f}"
    if BALANCED in row:
        accuracy += f" balanced {row[BALANCED]:.4f}"
    return f"{text}  {accuracy}  {row['seconds']:.1f} s{teacher}"


def number(value):
    """A number as JSON has it: infinity is the string `"inf"`."""
    return value if abs(value) != float("inf") else "inf"


def _absolute(part):
    return model_specs.parse(part).text


def _rounded(seconds):
    return None if seconds is None else round(seconds, 3)
