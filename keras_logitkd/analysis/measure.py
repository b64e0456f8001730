"""One pass over a dataset that measures students beside their teacher, in constant memory."""

import numpy as np

from keras_logitkd.analysis import measurements
from keras_logitkd.analysis.projection import plane_through
from keras_logitkd.analysis.spread import Distribution
from keras_logitkd.runs import evaluation

# What is measured of every example, as people read it; those of `AGAINST_TEACHER` need a teacher.
MEASURES = {
    "logit_sum": "sum of the logits",
    "logit_sum_shift": "sum of the logits, student minus teacher",
    "logit_distance": "distance of the logits to the teacher's",
    "pre_logit_norm": "norm of the pre-logits",
    "entropy": "entropy (nats)",
    "top_logit_difference": "label's logit minus the largest other one",
    "confidence": "largest probability",
}
AGAINST_TEACHER = ("logit_sum_shift", "logit_distance")
KEPT_VECTORS = 500  # of each class of the projection


class ClassVectors:
    """The templates of some classes and the first vectors of each.

    Args:
        classes: tuple of class numbers.
        keep: how many vectors of each class are kept. Defaults to 500.
    """

    def __init__(self, classes, keep=KEPT_VECTORS):
        self.classes = tuple(classes)
        self._keep = keep
        self._counts = np.zeros(len(self.classes))
        self._sums = None
        self._kept = [[] for _ in self.classes]

    def update(self, vectors, labels):
        """Adds vectors of shape (n, features) with their labels (n,)."""
        if self._sums is None:
            self._sums = np.zeros((len(self.classes), vectors.shape[-1]))
        for place, label in enumerate(self.classes):
            own = vectors[labels == label]
            room = self._keep - sum(map(len, self._kept[place]))
            if len(own) and room > 0:
                self._kept[place].append(np.array(own[:room], np.float32))
            self._counts[place] += len(own)
            self._sums[place] += own.sum(axis=0, dtype=np.float64)

    @property
    def templates(self):
        """The mean vector of all examples of each class, float64 (classes, features)."""
        if self._sums is None or not self._counts.all():
            missing = [c for c, n in zip(self.classes, self._counts, strict=True) if not n]
            raise ValueError(f"Each class must have an example. Received: none of class {missing}")
        return self._sums / self._counts[:, None]

    @property
    def plane(self):
        """The `Plane` through the templates, or None: not three vectors, or on one line."""
        if self._sums is None:
            return None
        try:
            return plane_through(self.templates)
        except ValueError:
            return None

    @property
    def distance_to_templates(self):
        """Root mean square distance of what is kept to its class's template, in the plane.

        nan where there is no plane.
        """
        plane = self.plane
        if plane is None:
            return np.nan
        corners = plane.project(self.templates)
        gaps = [plane.project(own) - at for own, at in zip(self.kept, corners, strict=True)]
        return float(np.sqrt(np.square(np.concatenate(gaps)).sum(axis=1).mean()))

    @property
    def kept(self):
        """The vectors that are kept, a float32 array (n, features) for each class."""
        return [np.concatenate(parts) for parts in self._kept]


class NetworkMeasures:
    """What one network's outputs measure over the examples that were added.

    Args:
        num_classes: K.
        classes: the three classes of the projection, or none.

    Attributes:
        distributions: dict of a name of `MEASURES` to its `Distribution`; those without a number
            (no teacher, no pre-logits) have the count 0.
        reliability: float64 (3, 15), see `evaluation.reliability_bins`.
        class_counts: int64 (2, K): examples of each class, and those recognised.
        vectors: the `ClassVectors` of the pre-logits.
        agreement: share of examples with the teacher's argmax; None without a teacher.
    """

    def __init__(self, num_classes, classes=()):
        self.distributions = {name: Distribution() for name in MEASURES}
        self.reliability = np.zeros((3, evaluation.ECE_BINS))
        self.class_counts = np.zeros((2, num_classes), np.int64)
        self.vectors = ClassVectors(classes)
        self._agreeing = None

    def update(self, labels, logits, pre_logits=None, teacher_logits=None):
        """Adds a batch.

        Args:
            labels: integers (n,).
            logits: float array (n, K).
            pre_logits: float array (n, features). Defaults to None: not known.
            teacher_logits: float array (n, K). Defaults to None: no teacher.

        Raises:
            ValueError: If a number is not finite.
        """
        values = {
            "logit_sum": measurements.logit_sums(logits),
            "entropy": measurements.entropies(logits),
            "top_logit_difference": measurements.top_logit_differences(logits, labels),
            "confidence": measurements.confidences(logits),
        }
        if pre_logits is not None:
            values["pre_logit_norm"] = measurements.norms(pre_logits)
            self.vectors.update(pre_logits, labels)
        if teacher_logits is not None:
            shift = values["logit_sum"] - measurements.logit_sums(teacher_logits)
            values["logit_sum_shift"] = shift
            values["logit_distance"] = measurements.logit_distances(logits, teacher_logits)
            agreeing = int(measurements.agreements(logits, teacher_logits).sum())
            self._agreeing = agreeing + (self._agreeing or 0)
        for name, numbers in values.items():
            self.distributions[name].update(numbers)
        self.reliability += evaluation.reliability_bins(evaluation.softmax(logits), labels)
        self.class_counts += measurements.class_counts(logits, labels)

    @property
    def examples(self):
        """How many examples were added."""
        return int(self.class_counts[0].sum())

    @property
    def accuracy(self):
        """Share of examples whose label has the largest logit."""
        return float(self.class_counts[1].sum() / self.examples)

    @property
    def ece(self):
        """Expected calibration error, 15 bins."""
        return evaluation.calibration_error(*self.reliability)

    @property
    def agreement(self):
        return None if self._agreeing is None else self._agreeing / self.examples

    def summary(self):
        """Returns one row of numbers: accuracy, ece, agreement, and `NAME_mean`, `NAME_std`.

        What was not measured is None.
        """
        row = {"accuracy": self.accuracy, "ece": self.ece, "agreement": self.agreement}
        for name, distribution in self.distributions.items():
            known = distribution.count > 0
            row[f"{name}_mean"] = distribution.mean if known else None
            row[f"{name}_std"] = distribution.std if known else None
        return row


def measure(students, batches, num_classes, teacher=None, classes=()):
    """Runs networks over a dataset, each batch through all of them, and keeps only sums.

    Args:
        students: dict of a key to a function from a batch of images to (pre-logits, logits), such
            as `penultimate.runner` returns; the pre-logits may be None.
        batches: iterable of records with "image" and "label".
        num_classes: K.
        teacher: a function like those of the students. Defaults to None.
        classes: three class numbers for the projection. Defaults to none.

    Returns:
        (students, teacher): dict of the same keys to `NetworkMeasures`, and those of the teacher
        or None.

    Raises:
        ValueError: If an output is not finite.
    """
    measured = {key: NetworkMeasures(num_classes, classes) for key in students}
    taught = None if teacher is None else NetworkMeasures(num_classes, classes)
    for record in batches:
        images, labels = record["image"], np.asarray(record["label"])
        teacher_logits = None
        if teacher is not None:
            pre_logits, teacher_logits = teacher(images)
            _add(taught, "the teacher", labels, teacher_logits, pre_logits)
        for key, run in students.items():
            pre_logits, logits = run(images)
            _add(measured[key], key, labels, logits, pre_logits, teacher_logits)
    return measured, taught


def _add(measures, whose, labels, logits, pre_logits, teacher_logits=None):
    if not np.isfinite(logits).all():
        raise ValueError(f"The logits of {whose} are not finite")
    measures.update(labels, logits, pre_logits, teacher_logits)
