"""Finished runs of one teacher, measured side by side: what pictures and tables are made of."""

import dataclasses
import math

import numpy as np
import pandas as pd

from keras_logitkd.analysis import selection
from keras_logitkd.analysis.finished_run import FinishedRun
from keras_logitkd.analysis.measure import NetworkMeasures, measure
from keras_logitkd.analysis.penultimate import runner
from keras_logitkd.networks.inference import for_inference


@dataclasses.dataclass(frozen=True)
class Student:
    """A run and what was measured of its network.

    Args:
        run: a `FinishedRun`.
        label: what people call it, the same for runs that differ in their seed only.
        measures: a `NetworkMeasures`.
    """

    run: FinishedRun
    label: str
    measures: NetworkMeasures

    @property
    def objective(self):
        """The short name of what was minimised."""
        return self.run.settings.objective


@dataclasses.dataclass(frozen=True)
class Analysis:
    """Runs of one teacher on one dataset.

    Args:
        dataset: its specification.
        split: "test", or "train": what was trained on, without augmentation.
        class_names: of all classes.
        classes: the numbers of the three classes of the projection; none where there are fewer.
        students: list of `Student`, by objective and seed.
        baseline: label of those that the gain of the others is measured from, or None.
        teacher: `NetworkMeasures` of the teacher, or None.
        teacher_label: what people call it, or None.
    """

    dataset: str
    split: str
    class_names: tuple
    classes: tuple
    students: list
    baseline: str | None = None
    teacher: NetworkMeasures | None = None
    teacher_label: str | None = None

    @property
    def teacher_text(self):
        """How tables and legends call the teacher."""
        return f"teacher {self.teacher_label}"

    @property
    def examples(self):
        """How many examples were measured."""
        return self.students[0].measures.examples

    def shown(self):
        """Returns the students that figures show: of each label the one with the least seed."""
        first = {}
        for student in sorted(self.students, key=lambda student: student.run.settings.seed):
            first.setdefault(student.label, student)
        return [first[label] for label in dict.fromkeys(s.label for s in self.students)]

    def named(self, label):
        """Returns the students of a label, one a seed."""
        return [student for student in self.students if student.label == label]

    def table(self):
        """Returns a pandas frame with a row for the teacher and each run: mean and std over the
        examples of each measure, see `NetworkMeasures.summary`.
        """
        rows = []
        if self.teacher is not None:
            rows.append({"label": self.teacher_text, **self.teacher.summary()})
        for student in self.students:
            settings = student.run.settings
            rows.append(
                {
                    "label": student.label,
                    "run": student.run.directory.name,
                    "model": settings.model,
                    "objective": student.objective,
                    "seed": settings.seed,
                    **student.measures.summary(),
                }
            )
        first = ("label", "run", "model", "objective", "seed")
        frame = pd.DataFrame(rows)
        return frame[[*first, *(name for name in frame.columns if name not in first)]]


def analyze(runs, split="test", classes=None, baseline=None, layer=None):
    """Measures runs beside their teacher, in one pass over a split.

    Args:
        runs: list of `FinishedRun`s; one that is the others' teacher counts as that only.
        split: "test", or "train": what the runs were trained on. Defaults to "test".
        classes: three class numbers for the projection. Defaults to the first three.
        baseline: one of the runs, whose gain is measured per class. Defaults to the runs on hard
            labels, where there are some.
        layer: name of the layer that the pre-logits enter, for all networks that have it. Defaults
            to the last `Dense` layer.

    Returns:
        An `Analysis`.

    Raises:
        ValueError: If the runs are of several teachers or datasets, were trained on different
            examples (`split="train"`), a class does not exist, or pre-logits are not found.
    """
    runs = list({run.directory.path: run for run in runs}.values())
    selection.check_together(runs, split)
    taught = next((run for run in runs if run.settings.teachers), runs[0])
    runs = [run for run in runs if run.directory.name not in taught.settings.teachers]
    if not runs:
        raise ValueError("An analysis must have a run beside the teacher. Received: none")
    runs = sorted(runs, key=selection.order_of)
    labels, dataset = selection.labels_of(runs), taught.dataset
    examples, indices = dataset.test, np.arange(len(dataset.test))
    if split == "train":
        examples, indices = dataset.train, taught.data.train_indices
    classes = selection.checked_classes(classes, examples.labels[indices], dataset.num_classes)
    measured, teacher = measure(
        {run.directory.path: runner(run.load_network(), layer) for run in runs},
        taught.data.evaluation_batches(examples, indices),
        dataset.num_classes,
        _teacher_runner(taught.teachers, layer),
        classes,
    )
    students = [
        Student(run, label, measured[run.directory.path])
        for run, label in zip(runs, labels, strict=True)
    ]
    return Analysis(
        dataset=taught.settings.dataset,
        split=split,
        class_names=tuple(dataset.class_names),
        classes=classes,
        students=students,
        baseline=_baseline_label(students, baseline),
        teacher=teacher,
        teacher_label=", ".join(teacher.label for teacher in taught.teachers) or None,
    )


def summarize(analysis):
    """Summarises runs over their seeds: a row a label with n, `NAME_mean` and `NAME_std`.

    NAME is accuracy, logit_sum_shift, logit_distance or pre_logit_norm. What is summarised is each
    run's mean over its examples, of the shift of the sum its root mean square.

    Args:
        analysis: an `Analysis`.

    Returns:
        A pandas frame; the std is that of the seeds (ddof = 1), nan for one.
    """
    networks = {} if analysis.teacher is None else {analysis.teacher_text: [analysis.teacher]}
    for student in analysis.students:
        networks.setdefault(student.label, []).append(student.measures)
    rows = []
    for label, seeds in networks.items():
        row = {"label": label, "n": len(seeds)}
        for name in ("accuracy", "logit_sum_shift", "logit_distance", "pre_logit_norm"):
            means = np.array([_middle(name, measures) for measures in seeds])
            row[f"{name}_mean"] = float(means.mean())
            row[f"{name}_std"] = float(means.std(ddof=1)) if len(means) > 1 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _teacher_runner(teachers, layer):
    """A function from images to pre-logits and logits; an average has no pre-logits of its own."""
    if not teachers:
        return None
    networks = [runner(for_inference(teacher.load()), layer) for teacher in teachers]
    if len(networks) == 1:
        return networks[0]
    return lambda images: (None, np.mean([run(images)[1] for run in networks], axis=0))


def _baseline_label(students, baseline):
    if baseline is None:
        return next((s.label for s in students if s.objective == "ce"), None)
    return next(s.label for s in students if s.run.directory.path == baseline.directory.path)


def _middle(name, measures):
    if name == "accuracy":
        return measures.accuracy
    distribution = measures.distributions[name]
    # A shift goes to both sides, so that its mean says little.
    return distribution.root_mean_square if name == "logit_sum_shift" else distribution.mean
