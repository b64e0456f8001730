"""Several labels: five attributes of a digit that overlap. `python docs/examples/multi_label.py`"""

import comparison
import keras
import numpy as np
from sklearn.datasets import load_digits

HARD = keras.losses.BinaryCrossentropy(from_logits=True)
ATTRIBUTES = {
    "odd": {1, 3, 5, 7, 9},
    "above four": {5, 6, 7, 8, 9},
    "prime": {2, 3, 5, 7},
    "has a loop": {0, 6, 8, 9},
    "multiple of three": {0, 3, 6, 9},
}


def network(*widths):
    hidden = [keras.layers.Dense(width, "relu") for width in widths]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(len(ATTRIBUTES))])


def splits():
    """The digits with 0 or 1 for each attribute: 797 to learn from, 400 and 600 held out."""
    digits = load_digits()
    of_digit = [[digit in members for members in ATTRIBUTES.values()] for digit in range(10)]
    x, y = (digits.data / 16).astype("float32"), np.array(of_digit, "float32")[digits.target]
    return comparison.split(x, y, validation=400, test=600)


def all_right(model, x, y):
    """Share of digits of which every attribute is right."""
    return np.mean(np.all((model.predict(x, verbose=0) > 0) == (y > 0.5), axis=-1))


def run(epochs=150, seeds=comparison.SEEDS):
    """Returns the numbers of docs/classifiers.md, see `comparison.compare`."""
    data = splits()
    keras.utils.set_random_seed(0)
    teacher = comparison.train_teacher(network(256, 256), data["train"], HARD, epochs // 3)
    found = comparison.compare(
        teacher,
        lambda: network(8),
        data,
        HARD,
        [("bkl:2", 0.9), ("bkl:4", 0.9), ("mse", 0.9)],
        all_right,
        epochs,
        seeds,
        learning_rate=3e-3,
    )
    return {"teacher": float(all_right(teacher, *data["test"])), **found}


if __name__ == "__main__":
    comparison.main(run)
