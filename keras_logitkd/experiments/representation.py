"""What Figures 2, 4 and 5 share: the runs of Table 2's first student, and a look at their networks.

The paper looks at the training images, without augmentation, and so do these.
"""

import dataclasses
import functools
import pathlib

from keras_logitkd.analysis.analysis import analyze
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.experiments import table2
from keras_logitkd.experiments.experiment import Experiment, student_claims
from keras_logitkd.experiments.table_report import TEST_ACCURACY

SHIFT = "logit_sum_shift"
DISTANCE = "logit_distance"
NORM = "pre_logit_norm"
SPREAD = "template_distance"
HEADINGS = {
    SHIFT: "Shift of the logits' sum from the teacher's (root mean square over the examples)",
    DISTANCE: "Distance of the logits to the teacher's (mean over the examples)",
    NORM: "Norm of the pre-logits (mean over the examples)",
    SPREAD: "Distance of the pre-logits to their class's template in the plane (root mean square)",
}
NOTE = "Measured on the training images without augmentation; each picture shows the first seed."


def experiment(title, columns, measures, pairs, pictures, note=""):
    """Returns the `Experiment` of one of these figures.

    Args:
        title: of the report.
        columns: those of `table2.COLUMNS` to take.
        measures: names of `HEADINGS` to report beside the test accuracy; the first is what the
            claims compare that name none.
        pairs: what the paper says, see `experiment.claims_of`.
        pictures: functions from an `Analysis` to a `Picture`.
        note: sentence for the end of the report. Defaults to nothing.
    """
    pairs = tuple(pair if len(pair) == 4 else (*pair, measures[0]) for pair in pairs)
    return Experiment(
        title=title,
        entries=functools.partial(entries, columns=columns),
        claims=functools.partial(student_claims, pairs=pairs),
        note=f"{NOTE} {note}".rstrip(),
        measures={name: HEADINGS[name] for name in measures} | TEST_ACCURACY,
        study=functools.partial(study, draw=pictures),
    )


def entries(setup, columns):
    """Returns the cells of Table 2's first student, so that none of them trains twice."""
    one_student = dataclasses.replace(setup, students=setup.students[:1])
    return [entry for entry in table2.entries(one_student) if entry.column in columns]


def study(frame, workspace, draw):
    """Measures and draws the networks of a sweep's frame that has at least one finished run.

    Returns:
        (frame, pictures): the frame with a column for each of `HEADINGS`, nan where a run failed or
        has nothing of the kind, and the list of `Picture`s.
    """
    runs_dir = pathlib.Path(workspace.runs_dir)
    names = [name for name in frame["run"] if name]
    runs = [open_run(runs_dir / name, dataset=workspace.dataset) for name in names]
    analysis = analyze(runs, split="train")
    measured = {one.run.directory.name: _row(one.measures) for one in analysis.students}
    columns = {name: [measured.get(run, {}).get(name) for run in frame["run"]] for name in HEADINGS}
    frame = frame.assign(**columns).astype(dict.fromkeys(HEADINGS, float))
    return frame, [picture(analysis) for picture in draw]


def _row(measures):
    shift, distance, norm = (measures.distributions[name] for name in (SHIFT, DISTANCE, NORM))
    return {
        SHIFT: shift.root_mean_square,
        DISTANCE: distance.mean,
        NORM: norm.mean,
        SPREAD: measures.vectors.distance_to_templates,
    }
