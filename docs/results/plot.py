"""Draws fashion_mnist.png from fashion_mnist.csv: `python docs/results/plot.py`."""

import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

HERE = pathlib.Path(__file__).parent
OBJECTIVES = {"ce": "hard labels\n(CE)", "kl:4": "KL, τ = 4", "mse": "MSE"}
COLOURS = ("#7f7f7f", "#0072b2", "#d55e00")  # told apart by the colour-blind


def main():
    """Writes the figure: students' test accuracy, mean and every seed, beside the teacher's."""
    runs = pd.read_csv(HERE / "fashion_mnist.csv")
    students = runs[runs.model == "wrn-10-1"]
    teacher = runs[runs.model == "wrn-16-2"].iloc[0]
    figure, axes = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    for place, (loss, colour) in enumerate(zip(OBJECTIVES, COLOURS, strict=True)):
        accuracy = 100 * students[students.loss == loss].test_accuracy
        mean, deviation = accuracy.mean(), accuracy.std()
        axes.errorbar(place, mean, deviation, fmt="o", ms=9, capsize=6, color=colour)
        axes.scatter([place + 0.12] * len(accuracy), accuracy, s=16, color=colour, alpha=0.7)
        axes.annotate(f"{mean:.2f}", (place - 0.08, mean), ha="right", va="center")
    axes.axhline(100 * teacher.test_accuracy, color="black", lw=1, ls="--")
    axes.annotate(
        f"teacher {100 * teacher.test_accuracy:.2f}",
        (-0.45, 100 * teacher.test_accuracy),
        xytext=(0, 3),
        textcoords="offset points",
    )
    axes.set_xticks(range(len(OBJECTIVES)), OBJECTIVES.values())
    axes.set_xlim(-0.5, len(OBJECTIVES) - 0.5)
    axes.margins(y=0.12)
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(
        f"Fashion-MNIST, WRN-16-2 ({teacher.epochs} epochs) → WRN-10-1 "
        f"({students.epochs.iloc[0]} epochs)\n"
        f"mean ± standard deviation and each of {students.seed.nunique()} seeds",
        fontsize=9,
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "fashion_mnist.png", dpi=160)


if __name__ == "__main__":
    main()
