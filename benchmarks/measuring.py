"""What the benchmarks share: arms in turn, time of the wall and of the processors, the machine."""

import argparse
import datetime
import json
import os
import platform
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

CORES = os.cpu_count()


def timed(function, *args):
    """Returns (wall, cpu) seconds of a call.

    The second is the processors' time for this process over the number of cores: what the wall
    would show if all cores worked for it all the time. Other programs change it little.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    function(*args)
    return time.perf_counter() - wall, (time.process_time() - cpu) / CORES


def in_turn(arms, rounds):
    """Calls every arm once a round; each round starts with another one.

    Args:
        arms: dict from name to function without arguments.
        rounds: integer >= 1.

    Returns:
        dict from name to the (wall, cpu) seconds of each round.
    """
    names, seconds = list(arms), {name: [] for name in arms}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(timed(arms[name]))
    return seconds


def summary(seconds, baseline, units=1):
    """Returns a dict for each arm: medians and least of both times in ms, ratios to the baseline.

    Args:
        seconds: what `in_turn` returned.
        baseline: name of an arm. A ratio is the median over the rounds of its time over another's.
        units: what the times are divided by, for instance the steps of a round. Defaults to 1.
    """
    rows = {}
    for name, times in seconds.items():
        row = rows[name] = {}
        for index, clock in enumerate(("wall", "cpu")):
            own = [time[index] / units for time in times]
            others = [time[index] / units for time in seconds[baseline]]
            row[f"{clock}_ms"] = 1e3 * statistics.median(own)
            row[f"{clock}_least_ms"] = 1e3 * min(own)
            row[f"{clock}_ratio"] = median_ratio(others, own)
    return rows


def median_ratio(first, second):
    return statistics.median(one / other for one, other in zip(first, second, strict=True))


def print_rows(rows):
    print(f"{'':20s} {'wall ms':>9s} {'least':>8s} {'ratio':>6s} {'cpu ms':>9s} {'ratio':>6s}")
    for name, row in rows.items():
        print(
            f"{name:20s} {row['wall_ms']:9.1f} {row['wall_least_ms']:8.1f} {row['wall_ratio']:6.2f}"
            f" {row['cpu_ms']:9.1f} {row['cpu_ratio']:6.2f}",
            flush=True,
        )


def machine():
    """Returns what the numbers depend on, a dict; imports TensorFlow."""
    import keras
    import tensorflow as tf

    import keras_logitkd

    with open("/proc/cpuinfo") as file:
        lines = file.read().splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{model}, {CORES} cores, {'AVX-512' if 'avx512f' in ' '.join(lines) else 'AVX2'}",
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "keras_logitkd": keras_logitkd.__version__,
        "onednn": os.environ["TF_ENABLE_ONEDNN_OPTS"],
    }


def options(doc, **defaults):
    """Parses the command line: an integer option for each default, and --json.

    Args:
        doc: the script's docstring.
        **defaults: an integer, or a tuple of choices of which the first is the default.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for name, default in defaults.items():
        choices = default if isinstance(default, tuple) else None
        parser.add_argument(
            f"--{name}",
            type=str if choices else int,
            choices=choices,
            default=choices[0] if choices else default,
        )
    parser.add_argument("--json", help="file to write the report to")
    return parser.parse_args()


def write(report, path):
    """Writes a report as JSON, if there is a path."""
    if path:
        with open(path, "w") as file:
            json.dump(report, file, indent=2)
