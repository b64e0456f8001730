"""The diagnosis of a run: every check on what was measured of it."""

from keras_logitkd.analysis.diagnosis import evidence, student_checks, teacher_checks
from keras_logitkd.analysis.diagnosis.sample import EXAMPLES, Sample

# In the order in which one would look; each has its numbers from the function of `evidence` of its
# own name.
CHECKS = (
    teacher_checks.teacher_fit,
    teacher_checks.teacher_frozen,
    teacher_checks.same_input,
    student_checks.gradient_dependence,
    student_checks.term_scale,
    student_checks.training_course,
    student_checks.mean_shift,
    teacher_checks.label_disagreement,
    student_checks.capacity_gap,
)
_OF_THE_LOSS = (student_checks.gradient_dependence, student_checks.term_scale)


def diagnose(run, cache=None, examples=EXAMPLES):
    """Checks why the student of a run may be no better.

    Args:
        run: a `FinishedRun` of `distill`.
        cache: the `LogitCache` where stored logits are looked for. Defaults to None: nowhere.
        examples: of the training and of the test set that are looked at, at most; a fixed random
            choice. Defaults to 2,000.

    Returns:
        A list of `Finding`, one for each of `CHECKS`.

    Raises:
        ValueError: If the run has no teacher.
    """
    if not run.teachers:
        raise ValueError(
            "A diagnosis is of a student and its teacher. "
            f"Received: {run.directory.name}, which was trained on hard labels"
        )
    sample, findings = Sample(run, cache, examples), []
    for check in CHECKS:
        if sample.has_features and check in _OF_THE_LOSS:
            findings.append(student_checks.not_measured(check.__name__))
        else:
            findings.append(check(**getattr(evidence, check.__name__)(sample)))
    return findings
