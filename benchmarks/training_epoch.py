"""A training step through `fit`: Keras's distiller, ours online, ours from the store, no teacher.

    python benchmarks/training_epoch.py [--pair cifar|grey] [--steps 3] [--rounds 5] [--json FILE]

All arms run in one process in turn; each round starts with another one. The peak is the best rate
of a float32 matrix product in the same run.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import tensorflow as tf

import keras_logitkd
from keras_logitkd import Distiller, LogitStore, to_stock, zoo
from keras_logitkd.data import pipeline
from keras_logitkd.data.augment import Augmentation
from keras_logitkd.data.dataset import Split
from keras_logitkd.data.sources import ArrayImages
from keras_logitkd.logit_store import StoreKey
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


def seconds_per_step(model, dataset, steps):
    started = time.perf_counter()
    model.fit(dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)
    return (time.perf_counter() - started) / steps


def peak_flops():
    """Returns the best rate of a float32 matrix product, in operations a second."""
    best = 0.0
    for size in (1024, 2048, 4096):
        matrix = tf.random.normal((size, size))
        tf.matmul(matrix, matrix)
        for _ in range(4):
            started = time.perf_counter()
            tf.matmul(matrix, matrix).numpy()
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def cpu_name():
    with open("/proc/cpuinfo") as file:
        lines = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{lines[0]}, {len(lines)} cores"


def measure(pair, steps, rounds):
    """Returns the report: medians of the arms over the rounds, ratios and the peak."""
    teacher, student, shape, classes = PAIRS[pair]
    seconds, ratios, peaks = {name: [] for name in ARMS}, {name: [] for name in ARMS}, []
    with tempfile.TemporaryDirectory() as directory:
        arms = arms_of(pair, 40 * BATCH, directory)
        for model, dataset in arms.values():
            seconds_per_step(model, dataset, 2)
        for turn in range(rounds):
            peaks.append(peak_flops())
            for name in ARMS[turn % len(ARMS) :] + ARMS[: turn % len(ARMS)]:
                seconds[name].append(seconds_per_step(*arms[name], steps))
            for name in ARMS:
                ratios[name].append(seconds[ARMS[0]][-1] / seconds[name][-1])
    flops = 3 * BATCH * count_flops(zoo.build(student, shape, classes))
    peak = max(peaks)
    rows = {
        name: {
            "ms": 1e3 * statistics.median(seconds[name]),
            "least_ms": 1e3 * min(seconds[name]),
            "images_per_s": BATCH / statistics.median(seconds[name]),
            "ratio_to_keras": statistics.median(ratios[name]),
        }
        for name in ARMS
    }
    student_seconds = statistics.median(seconds["student alone"])
    return {
        "pair": f"{teacher} -> {student}, {shape}, batch {BATCH}",
        "machine": cpu_name(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "keras_logitkd": keras_logitkd.__version__,
        "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"],
        "rounds": rounds,
        "arms": rows,
        "student_gflop_per_step": flops / 1e9,
        "peak_gflops": peak / 1e9,
        "student_share_of_peak": flops / student_seconds / peak,
        "store_over_alone": statistics.median(
            one / other for one, other in zip(seconds[ARMS[2]], seconds[ARMS[3]], strict=True)
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pair", choices=PAIRS, default="cifar")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    report = measure(options.pair, options.steps, options.rounds)
    print(f"{report['pair']}; {report['machine']}; oneDNN {report['onednn']}")
    for name, row in report["arms"].items():
        print(
            f"{name:20s} {row['ms']:8.1f} ms (least {row['least_ms']:.1f})"
            f" {row['images_per_s']:8.0f} images/s  {row['ratio_to_keras']:.2f}x"
        )
    print(f"store / student alone: {report['store_over_alone']:.3f}")
    print(
        f"student step: {report['student_gflop_per_step']:.1f} GFLOP, "
        f"{100 * report['student_share_of_peak']:.0f}% of {report['peak_gflops']:.0f} GFLOP/s"
    )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
