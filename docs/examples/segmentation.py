"""Segmentation: digits on a canvas, 10 classes and the ground, borders ignored.

`python docs/examples/segmentation.py`
"""

import comparison
import keras
import numpy as np
from sklearn.datasets import load_digits

SIZE, CLASSES, IGNORED = 24, 11, 255
HARD = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORED)


def network(width):
    """Convolutions that see the whole canvas, and a logit for each class of each pixel."""
    layers = [keras.Input((SIZE, SIZE, 1))]
    for rate in (1, 2, 4, 1):
        layers.append(
            keras.layers.Conv2D(width, 3, padding="same", dilation_rate=rate, activation="relu")
        )
    return keras.Sequential([*layers, keras.layers.Conv2D(CLASSES, 1)])


def canvases(images, digits, count, rng):
    """Three digits a canvas, of 8x8 pixels: ink is of the digit's class, its faint edge ignored."""
    x = np.zeros((count, SIZE, SIZE, 1), "float32")
    y = np.full((count, SIZE, SIZE), CLASSES - 1, "int32")
    for canvas, labels in zip(x, y, strict=True):
        for place in rng.choice(9, 3, replace=False):  # of a grid of 3x3, without overlap
            which = rng.integers(len(images))
            rows, columns = (slice(8 * i, 8 * i + 8) for i in divmod(place, 3))
            ink = images[which] / 16
            canvas[rows, columns, 0] = ink
            part = labels[rows, columns]
            part[ink > 0.2] = IGNORED
            part[ink > 0.5] = digits[which]
    return x, y


def splits():
    """Canvases of digits that no other split has: 600 to learn from, 150 and 200 held out."""
    digits, rng = load_digits(), np.random.default_rng(0)
    order = rng.permutation(len(digits.target))
    parts = np.split(order, [997, 1297])
    return {
        name: canvases(digits.images[part], digits.target[part], count, rng)
        for name, part, count in zip(
            ("train", "validation", "test"), parts, (600, 150, 200), strict=True
        )
    }


def mean_iou(model, x, y):
    """Intersection over union, averaged over the classes; ignored pixels are in none of them."""
    metric = keras.metrics.MeanIoU(CLASSES, ignore_class=IGNORED, sparse_y_pred=False)
    metric.update_state(y, model.predict(x, verbose=0))
    return float(metric.result())


def run(epochs=20, seeds=comparison.SEEDS):
    """Returns the numbers of docs/classifiers.md, see `comparison.compare`."""
    data = splits()
    keras.utils.set_random_seed(0)
    teacher = comparison.train_teacher(network(48), data["train"], HARD, epochs, 32)
    found = comparison.compare(
        teacher,
        lambda: network(12),
        data,
        HARD,
        [("kl:1", 0.9), ("kl:4", 0.9), ("mse", 0.9)],
        mean_iou,
        epochs,
        seeds,
        batch_size=32,
        learning_rate=3e-3,
    )
    return {"teacher": mean_iou(teacher, *data["test"]), **found}


if __name__ == "__main__":
    comparison.main(run)
