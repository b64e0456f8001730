"""The pictures of an analysis: figures with a name, a heading, and a sentence on what they show."""

import dataclasses
import pathlib

import numpy as np

from keras_logitkd.analysis import figures, plots
from keras_logitkd.storage.atomic import replacing


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure, its name, its heading, and a sentence for those who cannot see it.

    Args:
        name: of its files without ending, such as "logit_sums".
        title: a heading, plain text.
        alt: one sentence that says what is to be seen, with numbers; the text alternative in HTML.
        figure: a matplotlib Figure.
    """

    name: str
    title: str
    alt: str
    figure: object


def pictures(analysis):
    """Draws everything that an analysis has the numbers for.

    Args:
        analysis: an `Analysis`.

    Returns:
        A list of `Picture`s: logit sums (Figure 2) and their shift, logit distance (4a), pre-logit
        norm (4b), projections (5), top logit difference, reliability, training curves, gain by
        class. What needs a teacher, three classes or a baseline is left out where there is none.
    """
    drawn = [logit_sums(analysis)]
    if analysis.teacher is not None:
        drawn += [logit_sum_shift(analysis), logit_distance(analysis)]
    drawn.append(pre_logit_norm(analysis))
    if figures.projected(analysis):
        drawn.append(projections(analysis))
    drawn += [top_logit_difference(analysis), reliability(analysis), training_curves(analysis)]
    labels = {student.label for student in analysis.students}
    if analysis.baseline is not None and len(labels) > 1:
        drawn.append(class_gains(analysis))
    return drawn


def write(analysis, output):
    """Writes every picture of an analysis, and the measures of every run as measures.csv.

    Args:
        analysis: an `Analysis`.
        output: directory, created if need be; files of an earlier analysis in it are replaced.

    Returns:
        Dict of a picture's name, and "measures", to a pathlib.Path; beside each PNG is the SVG.

    Raises:
        OSError: If the files cannot be written.
    """
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    files = {"measures": output / "measures.csv"}
    with replacing(files["measures"]) as partial:
        analysis.table().to_csv(partial, index=False)
    for one in pictures(analysis):
        files[one.name] = plots.save(one.figure, output / one.name, (".png", ".svg"))
    return files


def logit_sums(analysis):
    """Returns the `Picture` of Figure 2."""
    title = f"Sums of the logits, {_data(analysis)}"
    means = _means(analysis, "logit_sum")
    alt = f"Histograms of the sums of the logits. Mean ± standard deviation: {means}."
    return Picture("logit_sums", title, alt, figures.logit_sums(analysis, title))


def _densities(name, what):
    """Returns the function from an `Analysis` to the `Picture` of the densities of a measure."""

    def draw(analysis):
        title = f"{what}, {_data(analysis)}"
        alt = f"Densities over the examples. Mean ± standard deviation: {_means(analysis, name)}."
        return Picture(name, title, alt, figures.densities(analysis, name, title))

    return draw


logit_sum_shift = _densities("logit_sum_shift", "Sums of the logits, student minus teacher")
# Figures 4a and 4b.
logit_distance = _densities("logit_distance", "Distance of the students' logits to the teacher's")
pre_logit_norm = _densities("pre_logit_norm", "Norm of the pre-logits")
top_logit_difference = _densities(
    "top_logit_difference", "Top logit difference: the label's logit minus the largest other one"
)


def projections(analysis):
    """Returns the `Picture` of Figure 5."""
    names = ", ".join(analysis.class_names[number] for number in analysis.classes)
    title = f"Pre-logits of {names} on the plane of their templates, {_data(analysis)}"
    spreads = [
        f"{label} {measures.vectors.distance_to_templates:.2f}"
        for label, _, measures in figures.measured(analysis)
        if measures.vectors.plane is not None
    ]
    alt = (
        "Projections of the pre-logits of three classes. Root mean square distance to the class's "
        f"template in the plane: {', '.join(spreads)}."
    )
    return Picture("projections", title, alt, figures.projections(analysis, title))


def reliability(analysis):
    """Returns the `Picture` of the reliability diagrams."""
    title = f"Reliability: accuracy by confidence, {_data(analysis)}"
    errors = [f"{label} {100 * m.ece:.1f}%" for label, _, m in figures.measured(analysis)]
    alt = f"Accuracy by bin of confidence. Expected calibration error: {', '.join(errors)}."
    return Picture("reliability", title, alt, figures.reliability(analysis, title))


def training_curves(analysis):
    """Returns the `Picture` of the accuracy by epoch."""
    title = f"Training curves, {analysis.dataset}"
    ends = [f"{s.label} {100 * s.run.rows()[-1]['accuracy']:.1f}%" for s in analysis.shown()]
    alt = f"Accuracy by epoch. On the augmented training images of the last one: {', '.join(ends)}."
    return Picture("training_curves", title, alt, figures.training_curves(analysis, title))


def class_gains(analysis):
    """Returns the `Picture` of the gain over the baseline by class."""
    title = f"Gain over {analysis.baseline} by class, {_data(analysis)}"
    parts = []
    for label, gain in figures.gains_of(analysis).items():
        worst, best = np.nanargmin(gain), np.nanargmax(gain)
        names = analysis.class_names[worst], analysis.class_names[best]
        parts.append(
            f"{label} from {100 * gain[worst]:+.1f} ({names[0]}) to {100 * gain[best]:+.1f} "
            f"({names[1]})"
        )
    alt = f"Gain over {analysis.baseline} by class in points: {', '.join(parts)}."
    return Picture("class_gains", title, alt, figures.class_gains(analysis, title))


def _data(analysis):
    kind = {"test": "test", "train": "training"}[analysis.split]
    return f"{analysis.dataset}, {analysis.examples:,} {kind} examples"


def _means(analysis, name):
    shown = [
        f"{label} {distribution.mean:.2f} ± {distribution.std:.2f}"
        for label, _, distribution in figures.distributions_of(analysis, name)
    ]
    return ", ".join(shown)
