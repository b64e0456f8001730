"""Draws fashion_mnist.png from fashion_mnist.csv: `python docs/results/plot.py`."""

import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

HERE = pathlib.Path(__file__).parent
STUDENTS = [("ce", "hard labels\n(CE)"), ("kl:4", "KL, τ = 4"), ("mse", "MSE")]
COLOURS = ["#7f7f7f", "#0072b2", "#d55e00"]  # told apart by the colour-blind


def main():
    """Writes the figure: students' test accuracy, mean and every seed, beside the teacher's."""
    runs = pd.read_csv(HERE / "fashion_mnist.csv")
    students = runs[runs.model == "wrn-10-1"]
    teacher = 100 * runs[runs.model == "wrn-16-2"].test_accuracy.iloc[0]
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for place, (loss, _) in enumerate(STUDENTS):
        accuracy = 100 * students[students.loss == loss].test_accuracy
        axes.errorbar(
            place, accuracy.mean(), accuracy.std(), fmt="o", ms=9, capsize=6, color=COLOURS[place]
        )
        axes.scatter([place + 0.15] * len(accuracy), accuracy, s=14, color=COLOURS[place])
        axes.annotate(
            f"{accuracy.mean():.2f}", (place - 0.08, accuracy.mean()), ha="right", va="center"
        )
    axes.axhline(teacher, color="black", lw=1, ls="--")
    axes.annotate(f"teacher {teacher:.2f}", (-0.45, teacher), va="bottom")
    axes.set_xticks(range(len(STUDENTS)), [label for _, label in STUDENTS])
    axes.set_xlim(-0.5, len(STUDENTS) - 0.5)
    axes.set_ylabel("test accuracy (%)")
    seeds = students.seed.nunique()
    axes.set_title(
        f"WRN-16-2 → WRN-10-1, Fashion-MNIST, 5 epochs\nmean ± standard deviation of {seeds} seeds",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "fashion_mnist.png", dpi=160)


if __name__ == "__main__":
    main()
