"""Finished runs of one teacher, measured side by side: what pictures and tables are made of."""

import dataclasses
import math

import numpy as np
import pandas as pd

from keras_logitkd.analysis import drawing
from keras_logitkd.analysis.finished_run import FinishedRun
from keras_logitkd.analysis.measure import NetworkMeasures, measure
from keras_logitkd.analysis.penultimate import runner
from keras_logitkd.inference import for_inference

SPLITS = ("test", "train")


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
            rows.append({"label": f"teacher {self.teacher_label}", **self.teacher.summary()})
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
    runs = _different(runs)
    check_together(runs, split)
    taught = next((run for run in runs if run.settings.teachers), runs[0])
    runs = [run for run in runs if run.directory.name not in taught.settings.teachers]
    if not runs:
        raise ValueError("An analysis must have a run beside the teacher. Received: none")
    runs = sorted(runs, key=_order)
    labels, dataset = labels_of(runs), taught.dataset
    examples, indices = _examples(taught, split)
    classes = checked_classes(classes, examples.labels[indices], dataset.num_classes)
    measured, teacher = measure(
        {run.directory.name: runner(run.load_network(), layer) for run in runs},
        taught.data.evaluation_batches(examples, indices),
        dataset.num_classes,
        _teacher_runner(taught.teachers, layer),
        classes,
    )
    students = [
        Student(run, label, measured[run.directory.name])
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


def check_together(runs, split):
    """Raises ValueError where runs cannot stand side by side; arguments are those of `analyze`."""
    if not runs:
        raise ValueError("An analysis must have at least one run. Received: none")
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={split!r}")
    _check_equal(runs, "teacher", lambda run: ",".join(run.settings.teachers) or None)
    _check_equal(runs, "dataset", lambda run: run.settings.dataset)
    _check_equal(runs, "crop size", lambda run: run.settings.recipe.resized_crop or "none")
    if split == "train":
        _check_equal(
            runs, "part of the training set", lambda run: _part(run.settings.recipe), "--split test"
        )


def labels_of(runs):
    """Returns what to call each run: its objective, and what else tells some of them apart."""
    settings = [run.settings for run in runs]
    names = [drawing.objective(one.objective).replace("\n", " ") for one in settings]
    others = (
        lambda one: f"{one.model},",
        lambda one: one.noise.label if one.noise else "clean labels",
        lambda one: f"{one.recipe.epochs} epochs",
        lambda one: f"{one.recipe.examples or 'all'} examples",
    )
    for number, text in enumerate(others):
        parts = [text(one) for one in settings]
        if len(set(parts)) > 1:
            pairs = zip(names, parts, strict=True)
            names = [f"{b} {a}" if number == 0 else f"{a}, {b}" for a, b in pairs]
    keys = [(name, one.seed) for name, one in zip(names, settings, strict=True)]
    return [
        f"{name} ({run.directory.name})" if keys.count(key) > 1 else name
        for name, key, run in zip(names, keys, runs, strict=True)
    ]


def checked_classes(classes, labels, num_classes):
    """Returns three class numbers as a tuple: those given, or the first three that occur.

    Args:
        classes: three integers, or None; without three that occur this means ().
        labels: integer array of the labels of the examples.
        num_classes: K.

    Raises:
        ValueError: If those given are not three different ones that occur.
    """
    present = np.unique(labels)
    if classes is None:
        return tuple(map(int, present[:3])) if len(present) >= 3 else ()
    classes = tuple(map(int, classes))
    if len(classes) != 3 or len(set(classes)) != 3 or not set(classes) <= set(present.tolist()):
        raise ValueError(
            f"`classes` must be three different classes of 0..{num_classes - 1} that have "
            f"examples. Received: {', '.join(map(str, classes))}"
        )
    return classes


def summarize(analysis, names=("logit_sum_shift", "logit_distance", "pre_logit_norm")):
    """Returns measures over seeds: a frame by label with `NAME_mean`, `NAME_std` (ddof = 1), n.

    Args:
        analysis: an `Analysis`.
        names: of `measure.MEASURES`; what is summarised is each run's mean over its examples, of
            the shift of the sum its root mean square.
    """
    rows = []
    for label in dict.fromkeys(student.label for student in analysis.students):
        seeds = analysis.named(label)
        row = {"label": label, "n": len(seeds)}
        for name in names:
            means = np.array([_middle(name, s.measures.distributions[name]) for s in seeds])
            row[f"{name}_mean"] = float(means.mean())
            row[f"{name}_std"] = float(means.std(ddof=1)) if len(means) > 1 else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _different(runs):
    return list({run.directory.path: run for run in runs}.values())


def _check_equal(runs, what, value_of, advice=None):
    """None does not count: a run on hard labels goes with every teacher."""
    found = {}
    for run in runs:
        if (value := value_of(run)) is not None:
            found.setdefault(value, []).append(run.directory.name)
    if len(found) > 1:
        shown = "; ".join(f"{value} ({len(names)}: {names[0]})" for value, names in found.items())
        more = f" ({advice} does not need that)" if advice else ""
        raise ValueError(f"All runs must have the same {what}{more}. Received: {shown}")


def _part(recipe):
    return f"{recipe.examples or 'all'} examples, {recipe.validation:g} held out"


def _order(run):
    """Hard labels, KL by temperature, MSE, everything else; then by seed."""
    settings = run.settings
    tau = drawing.temperature(settings.objective)
    rank = {"ce": 0, "mse": 2}.get(settings.objective, 3) if tau is None else 1
    return settings.model, rank, tau or 0.0, settings.objective, settings.seed


def _examples(run, split):
    """(Split, indices) of what is measured; the training split has what was trained on."""
    if split == "train":
        return run.dataset.train, run.data.train_indices
    return run.dataset.test, np.arange(len(run.dataset.test))


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


def _middle(name, distribution):
    """A shift goes to both sides, so that its mean says little."""
    return distribution.root_mean_square if name == "logit_sum_shift" else distribution.mean
