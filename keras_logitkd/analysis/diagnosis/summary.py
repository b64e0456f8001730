"""What a student is measured against: its teacher, and itself on hard labels."""

import dataclasses

from keras_logitkd.runs.directory.earlier import directory_of


def standing(run):
    """Returns the accuracies on the test set that the diagnosis of a `FinishedRun` is about.

    Returns:
        Dict of "student", "teacher" and "hard labels" to a share in [0, 1]. The last is None where
        the same student was not trained on hard labels in the same directory.
    """
    baseline = baseline_of(run)
    return {
        "student": run.result["test_accuracy"],
        "teacher": run.result["teacher_test_accuracy"],
        "hard labels": baseline and baseline.read_result()["test_accuracy"],
    }


def baseline_of(run):
    """Returns the `RunDirectory` beside a `FinishedRun` where its network learned from hard labels.

    None where there is none that is finished, or the run itself has no teacher.
    """
    if not run.settings.teachers:
        return None
    settings = dataclasses.replace(
        run.settings, teachers=(), teacher=None, loss=None, alpha=0.0, logit_dtype="float32"
    )
    beside = directory_of(run.directory.path.parent, settings)
    return beside if beside.read_result() is not None else None
