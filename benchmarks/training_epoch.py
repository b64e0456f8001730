"""A training step through `fit`: Keras's distiller, ours online, ours from the store, no teacher.

    python benchmarks/training_epoch.py [--pair cifar|grey] [--steps 3] [--rounds 5] [--json FILE]

All arms run in one process in turn; each round starts with another one. The peak is the best rate
of a float32 matrix product in the same run.
"""

import functools
import tempfile

import measuring  # before TensorFlow: it sets the environment

# isort: split
import keras
import numpy as np
import tensorflow as tf

from keras_logitkd import Distiller, LogitStore, to_stock, zoo
from keras_logitkd.data import pipeline
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.data.views.augmentation import Augmentation
from keras_logitkd.storage.logit_store import StoreKey
from keras_logitkd.zoo.flops import count_flops

BATCH = 128
PAIRS = {  # teacher, student, image shape, classes
    "cifar": ("wrn-28-4", "wrn-16-2", (32, 32, 3), 100),
    "grey": ("wrn-16-2", "wrn-10-1", (28, 28, 1), 10),
}
ARMS = ("keras.distillation", "ours online", "ours from the store", "student alone")


def arms_of(pair, examples, directory):
    """Returns (model, dataset) of each arm; the datasets never end."""
    teacher_name, student_name, shape, classes = PAIRS[pair]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, *shape), dtype=np.uint8)
    split = Split("train", rng.integers(0, classes, examples), ArrayImages(images))
    key = StoreKey("teacher", "data", "all", examples, classes, {"view": "random"})
    store = LogitStore(directory, key)
    store.fill(0, [rng.normal(size=(examples, classes)).astype(np.float32)])
    settings = {
        "batch_size": BATCH,
        "epochs": 10**6,
        "seed": 0,
        "augmentation": Augmentation(pad=4, flip=True),
        "views": 1,
    }

    def pairs(record):
        return tf.cast(record["image"], tf.float32) / 255.0, record["label"]

    def with_logits(record):
        image, label = pairs(record)
        return image, {"label": label, "teacher_logits": record["teacher_logits"]}

    plain = pipeline.train_batches(split, **settings).map(pairs)
    stored = pipeline.train_batches(split, **settings, logits=store).map(with_logits)
    teacher = zoo.build(teacher_name, shape, classes)

    def student():
        return zoo.build(student_name, shape, classes, weight_decay=5e-4)

    stock = keras.distillation.Distiller(
        teacher=to_stock(teacher),
        student=to_stock(student()),
        distillation_losses=keras.distillation.LogitsDistillation(temperature=4.0),
    )
    models = (
        stock,
        Distiller(teacher, student(), "mse"),
        Distiller(None, student(), "mse"),
        Distiller(None, student(), alpha=0.0),
    )
    for model in models:
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    return dict(zip(ARMS, zip(models, (plain, plain, stored, plain), strict=True), strict=True))


def train(model, dataset, steps):
    model.fit(dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)


def peak_flops():
    """Returns the best rate of a float32 matrix product, in operations a second."""
    best = 0.0
    for size in (1024, 2048, 4096):
        matrix = tf.random.normal((size, size))
        tf.matmul(matrix, matrix)
        for _ in range(4):
            wall, _ = measuring.timed(lambda m=matrix: tf.matmul(m, m).numpy())
            best = max(best, 2 * size**3 / wall)
    return best


def measure(pair, steps, rounds):
    """Returns the report: times of the arms over the rounds, ratios and the peak."""
    teacher, student, shape, classes = PAIRS[pair]
    with tempfile.TemporaryDirectory() as directory:
        arms = arms_of(pair, 40 * BATCH, directory)
        for model, dataset in arms.values():
            train(model, dataset, 2)
        peaks = [peak_flops()]
        calls = {name: functools.partial(train, *arm, steps) for name, arm in arms.items()}
        seconds = measuring.in_turn(calls, rounds)
        peaks.append(peak_flops())
    rows = measuring.summary(seconds, ARMS[0], steps)
    flops, alone = 3 * BATCH * count_flops(zoo.build(student, shape, classes)), rows[ARMS[3]]
    return {
        "pair": f"{teacher} -> {student}, {shape}, batch {BATCH}",
        **measuring.machine(),
        "rounds": rounds,
        "steps": steps,
        "arms": rows,
        "student_gflop_per_step": flops / 1e9,
        "peak_gflops": max(peaks) / 1e9,
        "student_share_of_peak": 1e3 * flops / alone["wall_ms"] / max(peaks),
        "student_share_of_peak_cpu": 1e3 * flops / alone["cpu_ms"] / max(peaks),
        "store_over_alone": alone["wall_ratio"] / rows[ARMS[2]]["wall_ratio"],
        "store_over_alone_cpu": alone["cpu_ratio"] / rows[ARMS[2]]["cpu_ratio"],
    }


def main():
    options = measuring.options(__doc__, pair=tuple(PAIRS), steps=3, rounds=9)
    report = measure(options.pair, options.steps, options.rounds)
    print(f"{report['pair']}; {report['cpu']}; oneDNN {report['onednn']}")
    measuring.print_rows(report["arms"])
    print(
        f"store / student alone: {report['store_over_alone']:.3f}"
        f" (cpu {report['store_over_alone_cpu']:.3f})"
    )
    print(
        f"student step: {report['student_gflop_per_step']:.1f} GFLOP, "
        f"{100 * report['student_share_of_peak']:.0f}%"
        f" (cpu {100 * report['student_share_of_peak_cpu']:.0f}%)"
        f" of {report['peak_gflops']:.0f} GFLOP/s"
    )
    measuring.write(report, options.json)


if __name__ == "__main__":
    main()
