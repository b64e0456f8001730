"""What a student is measured against: its teacher, and itself on hard labels."""

import dataclasses

from keras_logitkd.training.run_directory import RunDirectory


def standing(run):
    """Returns the accuracies that a diagnosis is about.

    Args:
        run: a `FinishedRun` of `distill`.

    Returns:
        Dict of what ("student", "teacher", "hard labels") to its accuracy on the test set. The last
        is None where the same student was not trained on hard labels in the same directory.
    """
    baseline = dataclasses.replace(
        run.settings, teachers=(), teacher=None, loss=None, alpha=0.0, logit_dtype="float32"
    )
    beside = run.directory.path.parent / baseline.default_name()
    result = RunDirectory.at(beside).read_result() or {}
    return {
        "student": run.result["test_accuracy"],
        "teacher": run.result["teacher_test_accuracy"],
        "hard labels": result.get("test_accuracy"),
    }
