"""Tabular: gradient-boosted trees teach a network with one logit. `python docs/examples/tabular.py`

The trees give probabilities of two classes, whose logits z1 - z0 teach the student.
"""

import comparison
import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

from keras_logitkd import from_probabilities

HARD = keras.losses.BinaryCrossentropy(from_logits=True)


def splits():
    """Wisconsin breast cancer, 30 measures of 569: 269 to learn from, 100 and 200 held out."""
    data = load_breast_cancer()
    x, y = data.data.astype("float32"), data.target.astype("float32")[:, None]
    return comparison.split(x, y, validation=100, test=200)


def network(x):
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    return keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            normalization,
            keras.layers.Dense(4, "relu"),
            keras.layers.Dense(1),
        ]
    )


def accuracy(model, x, y):
    return np.mean((model.predict(x, verbose=0) > 0) == (y > 0.5))


def run(epochs=60, seeds=comparison.SEEDS):
    """Returns the numbers of docs/classifiers.md, see `comparison.compare`."""
    data = splits()
    x, y = data["train"]
    trees = GradientBoostingClassifier(random_state=0).fit(x, y[:, 0])
    found = comparison.compare(
        from_probabilities(trees),
        lambda: network(x),
        data,
        HARD,
        [("bkl:2", 0.5), ("bkl:4", 0.5), ("mse", 0.5)],
        accuracy,
        epochs,
        seeds,
        batch_size=32,
        learning_rate=3e-3,
    )
    x_test, y_test = data["test"]
    return {"teacher": float(np.mean(trees.predict(x_test) == y_test[:, 0])), **found}


if __name__ == "__main__":
    comparison.main(run)
