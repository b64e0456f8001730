"""Is a network that comes with weights better on few images? Fashion-MNIST, in two halves.

    python benchmarks/fine_tuning.py FOLDER --source DIR_OF_IDX_FILES [--each 10] [--seeds 5]

Weights are made on seven of the classes (12,000 images); the three others have `--each` training
images a class. The network in the file gets a new last layer and the recipe for networks with
weights; the same network from nothing gets the recipe of its data. The test images are read once a
run. Prints both accuracies of each seed and the paired difference with its interval.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
from scipy.stats import t

from keras_logitkd.data.idx import load_idx

KNOWN = (0, 1, 2, 3, 4, 5, 6)
NEW = (7, 8, 9)
SOURCE_IMAGES = 12_000
NETWORK = "wrn-16-1"


def main():
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--source", required=True)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    dataset = load_idx(given.source, "fashion_mnist")
    write(given.folder / "known.npz", dataset, KNOWN, SOURCE_IMAGES // len(KNOWN))
    few = given.folder / f"few{given.each}.npz"
    write(few, dataset, NEW, given.each)
    known = f"npz:{given.folder / 'known.npz'}"
    run(given.folder, "known", "--dataset", known, "--model", NETWORK, "--epochs", "5")
    weights = given.folder / "runs" / "known" / "model.keras"
    tuned, fresh = [], []
    for seed in range(given.seeds):
        for found, model in ((tuned, weights), (fresh, NETWORK)):
            name = f"{'tuned' if model is weights else 'fresh'}-{given.each}-{seed}"
            options = ("--dataset", f"npz:{few}", "--model", model, "--seed", seed)
            found.append(100 * run(given.folder, name, *options, "--validation", 0))
        print(f"seed {seed}: with weights {tuned[-1]:.2f}, from nothing {fresh[-1]:.2f}")
    difference = np.subtract(tuned, fresh)
    half = t.ppf(0.975, given.seeds - 1) * difference.std(ddof=1) / given.seeds**0.5
    print(
        f"with weights {np.mean(tuned):.2f} ± {np.std(tuned, ddof=1):.2f}, from nothing "
        f"{np.mean(fresh):.2f} ± {np.std(fresh, ddof=1):.2f}; difference {difference.mean():+.2f}, "
        f"95% interval [{difference.mean() - half:.2f}, {difference.mean() + half:.2f}], "
        f"n = {given.seeds}"
    )


def write(path, dataset, classes, each):
    """Writes an npz of some classes, `each` training images of each, all test images."""
    arrays = {}
    for name, split, most in (("train", dataset.train, each), ("test", dataset.test, None)):
        parts = [np.flatnonzero(split.labels == label)[:most] for label in classes]
        arrays[f"x_{name}"] = split.images.array[np.concatenate(parts)]
        arrays[f"y_{name}"] = np.repeat(np.arange(len(classes)), [len(part) for part in parts])
    np.savez(path, **arrays)


def run(folder, name, *options):
    """Trains by the command line; returns the test accuracy."""
    place = ("--runs-dir", folder / "runs", "--name", name, "--json")
    command = pathlib.Path(sys.executable).with_name("logitkd")
    done = subprocess.run(
        [str(part) for part in (command, "train", *options, *place)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return json.loads(done.stdout)["test_accuracy"]


if __name__ == "__main__":
    main()
