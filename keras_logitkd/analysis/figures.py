"""Figures of an analysis: distributions of logits and pre-logits, calibration, curves, classes.

Each takes an `Analysis` and returns a matplotlib Figure, outside pyplot's state. Students are those
of `Analysis.shown`: one seed of each label. Sources: Kim et al., IJCAI 2021, for Figures 2, 4, 5.
"""

import numpy as np

from keras_logitkd.analysis import drawing
from keras_logitkd.analysis.measure import MEASURES
from keras_logitkd.analysis.measurements import shares
from keras_logitkd.analysis.spread import common_width

FEWEST = 10  # examples in a bin of confidence that is drawn
MOST_CLASSES = 20


def logit_sums(analysis, title=""):
    """Draws Figure 2: histograms of the logit sums, a panel a network over one axis."""
    networks = distributions_of(analysis, "logit_sum")
    xlabel = MEASURES["logit_sum"]
    figure, panels = drawing.new_panels(title, xlabel, "", len(networks), height=0.62, sharey=True)
    figure.supylabel("examples (%)", fontsize=10)
    width = common_width([distribution for *_, distribution in networks])
    for axes, (label, style, distribution) in zip(panels, networks, strict=True):
        counts, edges = distribution.histogram(width)
        heights = 100 * counts / distribution.count
        axes.stairs(heights, edges, fill=True, color=style["color"])
        axes.axvline(0, color="#bbbbbb", lw=0.8, zorder=0)
        axes.tick_params(labelsize=8)
        axes.annotate(label, (0.01, 0.95), xycoords="axes fraction", va="top", fontsize=8)
    return figure


def densities(analysis, name, title=""):
    """Draws the density of a measure over the examples, a line for each network.

    "logit_distance" is Figure 4a, "pre_logit_norm" Figure 4b. The x axis leaves out a thousandth of
    the examples of each network at each end.

    Args:
        analysis: an `Analysis`.
        name: of `measure.MEASURES`.
        title: text above. Defaults to none.

    Raises:
        ValueError: If no network has the measure.
    """
    networks = distributions_of(analysis, name)
    if not networks:
        raise ValueError(f"`name` must be a measure of the analysis. Received: name={name!r}")
    figure, axes = drawing.new_figure(title, MEASURES[name], "density")
    for label, style, distribution in networks:
        axes.plot(*distribution.density(), label=label, lw=1.8, **style)
    low, high = (
        [distribution.quantile(share) for *_, distribution in networks] for share in (0.001, 0.999)
    )
    margin = 0.04 * (max(high) - min(low)) or 1.0
    axes.set_xlim(min(low) - margin, max(high) + margin)
    axes.set_ylim(bottom=0)
    drawing.legend(figure, axes)
    return figure


def projections(analysis, title=""):
    """Draws Figure 5: examples of three classes on the plane of their templates, by network.

    Each network has a plane of its own through its templates (crosses), with the first class's
    template as the origin; all panels have the same scale. At most 500 examples of each class.

    Raises:
        ValueError: If no network has a plane: fewer than three classes, no pre-logits.
    """
    networks = projected(analysis)
    if not networks:
        raise ValueError("A projection must have pre-logits of three classes. Received: none")
    figure, panels = drawing.new_grid(title, len(networks))
    for axes, (label, points, corners) in zip(panels, networks, strict=True):
        axes.set_title(label, fontsize=9)
        axes.set_aspect("equal")
        for place, own in enumerate(points):
            colour, marker = drawing.look(place)
            name = analysis.class_names[analysis.classes[place]]
            style = {"s": 7, "alpha": 0.5, "linewidths": 0, "color": colour, "marker": marker}
            axes.scatter(*own.T, label=name, **style)
        axes.scatter(*corners.T, s=45, marker="x", color="black", linewidths=1.4)
    drawing.legend(figure, panels[0], markerscale=2)
    return figure


def projected(analysis):
    """Returns what Figure 5 shows: (label, points, corners) of each network that has a plane.

    `points` are three arrays (n, 2), `corners` the projected templates, (3, 2).
    """
    found = []
    for label, _, measures in measured(analysis):
        vectors = measures.vectors
        if (plane := vectors.plane) is not None:
            points = [plane.project(own) for own in vectors.kept]
            found.append((label, points, plane.project(vectors.templates)))
    return found


def reliability(analysis, title=""):
    """Draws reliability diagrams, a panel a network: the accuracy of each bin of confidence.

    Grey bars are the shares of the examples in the bins; the accuracy of bins of fewer than ten is
    left out. Source: Guo et al., ICML 2017.
    """
    networks = measured(analysis)
    figure, panels = drawing.new_grid(title, len(networks))
    for axes, (label, style, measures) in zip(panels, networks, strict=True):
        axes.set_title(f"{label}, ECE {100 * measures.ece:.1f}%", fontsize=9)
        axes.plot([0, 100], [0, 100], color="#999999", lw=1, zorder=1)
        counts, confidence, correct = measures.reliability
        edges = np.linspace(0, 100, len(counts) + 1)
        axes.stairs(100 * counts / counts.sum(), edges, fill=True, color="#d9d9d9", zorder=0)
        drawn = counts >= FEWEST
        x, y = 100 * confidence[drawn] / counts[drawn], 100 * correct[drawn] / counts[drawn]
        axes.plot(x, y, marker="o", ms=3.5, lw=1.5, color=style["color"])
    figure.supxlabel(f"{MEASURES['confidence']} (%)", fontsize=9)
    figure.supylabel("accuracy, share of examples (%)", fontsize=9)
    return figure


def training_curves(analysis, title=""):
    """Draws the accuracy on the augmented training images and on what was held out, by epoch."""
    shown = [(student, student.run.rows()) for student in analysis.shown()]
    names = {"accuracy": "training", "val_accuracy": "validation"}
    names = {name: text for name, text in names.items() if any(name in r[0] for _, r in shown)}
    figure, panels = drawing.new_panels(title, "epoch", "accuracy (%)", len(names))
    styles = drawing.line_styles([student.objective for student, _ in shown])
    for axes, (name, text) in zip(panels, names.items(), strict=True):
        axes.set_title(text, fontsize=9, loc="left")
        axes.grid(axis="y", color="#e5e5e5", lw=0.8)
        for (student, rows), style in zip(shown, styles, strict=True):
            rows = [row for row in rows if name in row]
            x, y = [row["epoch"] for row in rows], [100 * row[name] for row in rows]
            axes.plot(x, y, marker="o", ms=2.5, lw=1.5, label=student.label, **style)
        axes.xaxis.get_major_locator().set_params(integer=True)
    drawing.legend(figure, panels[0])
    return figure


def class_gains(analysis, title=""):
    """Draws the gain of each student over the baseline by class, means over the seeds.

    The classes are sorted by the students' mean gain; of more than 20 the ten with the least and
    the ten with the largest are drawn.
    """
    gains = gains_of(analysis)
    order = np.argsort(np.nanmean(list(gains.values()), axis=0), kind="stable")
    if len(order) > MOST_CLASSES:
        order = np.concatenate([order[: MOST_CLASSES // 2], order[-(MOST_CLASSES // 2) :]])
    figure, axes = drawing.new_figure(title, f"gain over {analysis.baseline} (points)", "")
    figure.set_figheight(1.8 + 0.27 * len(order))
    axes.hlines(
        np.arange(len(order) - 1) + 0.5,
        0,
        1,
        colors="#e5e5e5",
        lw=0.8,
        transform=axes.get_yaxis_transform(),
    )
    axes.axvline(0, color="#444444", lw=1)
    objectives = [analysis.named(label)[0].objective for label in gains]
    styles = drawing.line_styles(objectives)
    for place, (label, gain) in enumerate(gains.items()):
        _, marker = drawing.look(place)
        style = {"color": styles[place]["color"], "marker": marker}
        heights = np.arange(len(order)) + 0.6 * (place - (len(gains) - 1) / 2) / len(gains)
        axes.plot(100 * gain[order], heights, ls="", ms=5.5, label=label, **style)
    axes.set_yticks(range(len(order)), [analysis.class_names[number] for number in order])
    drawing.legend(figure, axes)
    return figure


def gains_of(analysis):
    """Returns the accuracy on each class minus the baseline's: dict label -> shares (classes,).

    Both are means over the seeds; nan where the split has no example of a class.
    """
    if analysis.baseline is None:
        raise ValueError("A gain must have a baseline: a run on hard labels, or the one named")
    means = {}
    for student in analysis.students:
        if student.label not in means:
            counts = [one.measures.class_counts for one in analysis.named(student.label)]
            means[student.label] = shares(*np.sum(counts, axis=0))
    reference = means.pop(analysis.baseline)
    return {label: mean - reference for label, mean in means.items()}


def measured(analysis):
    """(label, style, NetworkMeasures) of the teacher and the students that are shown."""
    shown = analysis.shown()
    styles = drawing.line_styles([student.objective for student in shown])
    found = [(s.label, style, s.measures) for s, style in zip(shown, styles, strict=True)]
    if analysis.teacher is not None:
        found.insert(0, (analysis.teacher_text, drawing.TEACHER, analysis.teacher))
    return found


def distributions_of(analysis, name):
    """(label, style, Distribution) of the networks of which something was measured."""
    found = [(label, style, m.distributions[name]) for label, style, m in measured(analysis)]
    return [entry for entry in found if entry[2].count]
