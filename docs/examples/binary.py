"""Binary: is a digit odd? One logit, the Bernoulli divergence. `python docs/examples/binary.py`"""

import comparison
import keras
import numpy as np
from sklearn.datasets import load_digits

HARD = keras.losses.BinaryCrossentropy(from_logits=True)


def network(*widths):
    hidden = [keras.layers.Dense(width, "relu") for width in widths]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(1)])


def splits():
    """The digits, 8x8 in [0, 1]: 797 to learn from, 400 for validation, 600 for the test."""
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), (digits.target % 2).astype("float32")[:, None]
    return comparison.split(x, y, validation=400, test=600)


def accuracy(model, x, y):
    return np.mean((model.predict(x, verbose=0) > 0) == (y > 0.5))


def run(epochs=150, seeds=comparison.SEEDS):
    """Returns the numbers of docs/classifiers.md, see `comparison.compare`."""
    data = splits()
    keras.utils.set_random_seed(0)
    teacher = comparison.train_teacher(network(256, 256), data["train"], HARD, epochs // 3)
    found = comparison.compare(
        teacher,
        lambda: network(4),
        data,
        HARD,
        [("bkl:2", 0.9), ("bkl:4", 0.9), ("mse", 0.9)],
        accuracy,
        epochs,
        seeds,
        learning_rate=3e-3,
    )
    return {"teacher": float(accuracy(teacher, *data["test"])), **found}


if __name__ == "__main__":
    comparison.main(run)
