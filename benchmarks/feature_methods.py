"""A training step of every feature method beside MSE on logits: time and peak memory.

    python benchmarks/feature_methods.py [--pair cifar|grey] [--batch 64] [--steps 1] [--rounds 5]
        [--json FILE]

The teacher runs in every step of all of them. Methods in stages have an arm for each. Times: all
arms in one process in turn, each round starting with another one. Memory: a process for each arm.
"""

import functools
import json
import pathlib
import subprocess
import sys

import measuring  # before TensorFlow: it sets the environment

# isort: split
import keras
import numpy as np
import tensorflow as tf

from keras_logitkd import Distiller, features, zoo

PAIRS = {  # teacher, student, image shape, classes
    "cifar": ("wrn-28-4", "wrn-16-2", (32, 32, 3), 100),
    "grey": ("wrn-16-2", "wrn-10-1", (28, 28, 1), 10),
}
BASELINE = "mse"
_MEMORY = "--memory-of"


def arm_names():
    """Returns the arms: MSE, and each method or each of its stages as `method/stage`."""
    names = [BASELINE]
    for method in features.METHODS:
        stages = features.get(method).stages()
        for stage in stages:
            names.append(method if len(stages) == 1 else f"{method}/{stage.name}")
    return names


def distiller(name, teacher, pair):
    """Returns the compiled `Distiller` of an arm, with a student of its own."""
    _, student_name, shape, classes = PAIRS[pair]
    student = zoo.build(student_name, shape, classes, weight_decay=5e-4)
    if name == BASELINE:
        model = Distiller(teacher, student, "mse")
    else:
        method, _, stage_name = name.partition("/")
        stages = features.get(method, seed=0).stages()
        (stage,) = [stage for stage in stages if stage_name in ("", stage.name)]
        model = Distiller.for_stage(stage, teacher, student)
    model.compile(
        keras.optimizers.SGD(1e-4, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def data(pair, batch):
    """Returns an endless dataset of one random batch."""
    _, _, shape, classes = PAIRS[pair]
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *shape)).astype(np.float32)
    labels = rng.integers(0, classes, batch)
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


def train(model, dataset, steps):
    model.fit(dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0)


def teacher_of(pair):
    name, _, shape, classes = PAIRS[pair]
    return zoo.build(name, shape, classes)


def times(pair, batch, steps, rounds):
    """Returns the summary of all arms against the baseline."""
    teacher, dataset, calls = teacher_of(pair), data(pair, batch), {}
    for name in arm_names():
        model = distiller(name, teacher, pair)
        train(model, dataset, 2)
        calls[name] = functools.partial(train, model, dataset, steps)
        print(f"{name} is ready", file=sys.stderr)
    return measuring.summary(measuring.in_turn(calls, rounds), BASELINE, steps)


def peak_memory(name, pair, batch):
    """Returns the peak resident memory in MB of a process that trains one arm."""
    command = [sys.executable, __file__, _MEMORY, name, pair, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def train_alone(name, pair, batch):
    train(distiller(name, teacher_of(pair), pair), data(pair, batch), 3)
    # Not ru_maxrss: that begins with the memory of the process that started this one.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    print(json.dumps(int(peak) / 1024))


def main():
    if _MEMORY in sys.argv:
        name, pair, batch = sys.argv[sys.argv.index(_MEMORY) + 1 :]
        return train_alone(name, pair, int(batch))
    options = measuring.options(__doc__, pair=tuple(PAIRS), batch=64, steps=1, rounds=5)
    rows = times(options.pair, options.batch, options.steps, options.rounds)
    for name, row in rows.items():
        # The other way round than for speeds: how many times as long as the baseline.
        row["wall_cost"], row["cpu_cost"] = 1 / row["wall_ratio"], 1 / row["cpu_ratio"]
        row["peak_mb"] = peak_memory(name, options.pair, options.batch)
    teacher, student, shape, _ = PAIRS[options.pair]
    report = {
        "pair": f"{teacher} -> {student}, {shape}, batch {options.batch}",
        **measuring.machine(),
        "rounds": options.rounds,
        "steps": options.steps,
        "arms": rows,
    }
    print(f"{report['pair']}; {report['cpu']}; load {report['load_average']}")
    print(f"{'':24s} {'wall ms':>9s} {'x mse':>6s} {'cpu ms':>9s} {'x mse':>6s} {'peak MB':>8s}")
    for name, row in rows.items():
        print(
            f"{name:24s} {row['wall_ms']:9.1f} {row['wall_cost']:6.2f} {row['cpu_ms']:9.1f}"
            f" {row['cpu_cost']:6.2f} {row['peak_mb']:8.0f}"
        )
    measuring.write(report, options.json)
    return None


if __name__ == "__main__":
    main()
