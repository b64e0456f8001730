"""A sweep of six objectives with one teacher: all runs on one store, or the teacher in every step.

    python benchmarks/sweep.py [--examples 2560] [--epochs 2] [--json FILE]

Whole runs as `logitkd distill` makes them, wrn-16-2 to wrn-10-1 on 28x28x1, batch 128: building,
training, saving, testing. Each objective runs once with the store and once without, in turn. The
store's first run fills it, which is part of its time. The pixels are random: they cost what others
do.
"""

import dataclasses
import pathlib
import tempfile

import measuring  # before TensorFlow: it sets the environment

# isort: split
import numpy as np

from keras_logitkd.data import catalog
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.spec.recipes import recipe_for
from keras_logitkd.runs.workspace import Workspace

OBJECTIVES = ("kl:1", "kl:3", "kl:5", "kl:20", "kl:inf", "mse")
TEACHER, STUDENT = "wrn-16-2", "wrn-10-1"
ARMS = ("online", "from the store")


def random_dataset(path, examples):
    rng, arrays = np.random.default_rng(0), {}
    for split, count in (("train", examples), ("test", 512)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)
    return catalog.load(f"npz:{path}")


def measure(examples, epochs, root):
    """Returns the (wall, cpu) seconds of each run: {arm: {objective: seconds}}."""
    dataset = random_dataset(root / "data.npz", examples)
    recipe = recipe_for("fashion_mnist", dataset.image_shape)
    recipe = recipe.replace(epochs=epochs, batch_size=128, validation=0.0, learning_rate=0.01)
    models.build_network(TEACHER, dataset, recipe, seed=1).save(root / "teacher.keras")
    online = Workspace(dataset, recipe, root)
    stored = dataclasses.replace(online, cache=LogitCache(str(root / "logits")))
    seconds = {arm: {} for arm in ARMS}
    for turn, loss in enumerate(OBJECTIVES):
        for arm in ARMS if turn % 2 else ARMS[::-1]:
            workspace = stored if arm == ARMS[1] else online
            cell = workspace.distillation(STUDENT, str(root / "teacher.keras"), loss)
            run = workspace.job(cell, f"{arm}-{loss}".translate(str.maketrans(" :", "--"))).run
            seconds[arm][loss] = measuring.timed(run)
    return seconds


def main():
    options = measuring.options(__doc__, examples=2560, epochs=2)
    with tempfile.TemporaryDirectory() as directory:
        seconds = measure(options.examples, options.epochs, pathlib.Path(directory))
    totals = {arm: np.sum(list(runs.values()), axis=0).tolist() for arm, runs in seconds.items()}
    report = {
        "work": f"{TEACHER} -> {STUDENT}, {options.examples} examples, {options.epochs} epochs",
        **measuring.machine(),
        "seconds": seconds,
        "total_seconds": totals,
        "ratio": (np.divide(totals[ARMS[0]], totals[ARMS[1]])).tolist(),
    }
    print(f"{report['work']}; {report['cpu']}; wall s (cpu s / cores)")
    for name in (*OBJECTIVES, "all six"):
        wall_and_cpu = [totals[arm] if name == "all six" else seconds[arm][name] for arm in ARMS]
        pairs = zip(ARMS, wall_and_cpu, strict=True)
        columns = (f"{arm} {s[0]:6.1f} ({s[1]:5.1f})" for arm, s in pairs)
        print(f"{name:8s}", "   ".join(columns))
    print(f"online / from the store: {report['ratio'][0]:.2f} (cpu {report['ratio'][1]:.2f})")
    measuring.write(report, options.json)


if __name__ == "__main__":
    main()
