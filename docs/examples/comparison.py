"""What the examples share: a student on labels beside the same student with a teacher, over seeds.

Validation chooses the objective; the test set is read once for each trained student.
"""

import json
import statistics
import sys
import time

import keras
from sklearn.model_selection import train_test_split

from keras_logitkd import Distiller

SEEDS = (0, 1, 2)


def split(x, y, validation, test):
    """Returns the splits of `compare`, with so many examples held out for each of the two."""
    x, x_test, y, y_test = train_test_split(x, y, test_size=test, random_state=0)
    x, x_val, y, y_val = train_test_split(x, y, test_size=validation, random_state=0)
    return {"train": (x, y), "validation": (x_val, y_val), "test": (x_test, y_test)}


def train_teacher(model, train, loss, epochs, batch_size=64, learning_rate=1e-3):
    """Trains a teacher on labels with Adam and returns it. `train` is (inputs, labels)."""
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss)
    model.fit(*train, batch_size=batch_size, epochs=epochs, verbose=0)
    return model


def compare(
    teacher, make_student, splits, loss, objectives, score, epochs, seeds=SEEDS, **settings
):
    """Trains students over seeds on labels and by each objective.

    Args:
        teacher: what teaches, as `Distiller` takes it.
        make_student: function without arguments that builds a student.
        splits: {"train": (inputs, labels), "validation": ..., "test": ...}.
        loss: the hard loss on logits.
        objectives: list of (distillation loss, alpha).
        score: function of (model, inputs, labels): a number, the larger the better.
        epochs: of every training.
        seeds: of the initial weights and the order of the examples.
        **settings: batch_size, learning_rate; of every training.

    Returns:
        A dict with the validation means of each objective, the one chosen, and test scores by seed.
    """

    def run(seed, objective):
        keras.utils.set_random_seed(seed)
        student = make_student()
        trained = student if objective is None else Distiller(teacher, student, *objective)
        rate = settings.get("learning_rate", 1e-3)
        trained.compile(keras.optimizers.Adam(rate), loss=loss)
        batch_size = settings.get("batch_size", 64)
        trained.fit(*splits["train"], batch_size=batch_size, epochs=epochs, verbose=0)
        return student

    began = time.perf_counter()
    labels, *taught = ([run(seed, each) for seed in seeds] for each in (None, *objectives))
    means = [
        statistics.mean(score(student, *splits["validation"]) for student in students)
        for students in taught
    ]
    best = max(range(len(objectives)), key=means.__getitem__)
    test = {
        name: [float(score(student, *splits["test"])) for student in students]
        for name, students in (("labels", labels), ("distilled", taught[best]))
    }
    gains = [b - a for a, b in zip(test["labels"], test["distilled"], strict=True)]
    return {
        "validation": {str(each): mean for each, mean in zip(objectives, means, strict=True)},
        "chosen": objectives[best],
        "test": test,
        "gain": (statistics.mean(gains), statistics.stdev(gains) if len(gains) > 1 else 0.0),
        "student_parameters": labels[0].count_params(),
        "seconds": time.perf_counter() - began,
    }


def main(run):
    """Runs an example from the command line and prints its numbers as JSON: `[EPOCHS [SEEDS]]`."""
    epochs, seeds = [*map(int, sys.argv[1:]), None, None][:2]
    options = {} if epochs is None else {"epochs": epochs}
    found = run(**options, **({} if seeds is None else {"seeds": range(seeds)}))
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")
