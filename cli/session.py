"""What `train` and `distill` share: from options to a workspace, and the final table."""

import logging
import pathlib

import click

from keras_logitkd.cli import imbalance, options, quiet, tables
from keras_logitkd.cli.progress import TrainingProgress
from keras_logitkd.data import specs
from keras_logitkd.processes import cluster, interrupts
from keras_logitkd.runs.distribution.devices import open_devices
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.models import count_parameters
from keras_logitkd.runs.workspace import open_workspace

# The title of a column: what of result.json stands in it, and how it is shown.
_COLUMNS = {
    "role": None,
    "model": None,
    "test accuracy": ("test_accuracy", tables.percent),
    "balanced": ("test_balanced_accuracy", tables.percent),  # where classes are imbalanced
    "parameters": ("parameters", tables.integer),
    "agreement": ("test_agreement", tables.percent),
    "seconds": ("seconds", tables.seconds),
}


def workspace_of(given, progress=TrainingProgress, by_several=False):
    """Returns the `Workspace` of a command's options.

    Args:
        given: the options, those of the recipe among them.
        progress: as for `Workspace`. Defaults to progress on stderr.
        by_several: whether several machines may do the command together. Defaults to False.
    """
    quiet.show_log()
    devices = _devices(given, by_several)
    return open_workspace(
        specs.skipping(given["dataset"]) if given.get("skip_unreadable") else given["dataset"],
        given["runs_dir"],
        data_dir=given["data_dir"],
        recipe_fields=options.recipe_fields(given),
        unlabelled=given.get("unlabelled"),
        seed=given["seed"],
        views=given["views"],
        cache=cache_of(given),
        resume=given["resume"],
        checkpoint_steps=given.get("checkpoint_steps"),
        preset=given.get("preset", "standard"),
        student_size=given.get("student_size", given.get("size")),
        teacher_size=given.get("teacher_size"),
        progress=progress if devices.is_chief else None,
        devices=devices,
    )


def _devices(given, by_several):
    """Returns the `Devices` of a command's options, before anything else uses TensorFlow."""
    task = cluster.task()
    if task and not by_several:
        raise click.UsageError(
            f"{cluster.VARIABLE} names {task.workers} workers, but only train and distill run on "
            f"several. Unset {cluster.VARIABLE}"
        )
    if task:
        interrupts.end_with_parent()
    devices = open_devices(given["devices"], given["sync_batch_norm"])
    if not devices.is_chief:
        logging.getLogger("keras_logitkd").setLevel(logging.WARNING)
    return devices


def cache_of(given):
    """Returns the `LogitCache` of a command's options, or None: not asked for, or not wanted."""
    if given.get("no_cache", True):
        return None
    limit, dtype = int(1e9 * given["cache_limit"]), given["logit_dtype"]
    return cache_at(given["cache_dir"], given["runs_dir"], limit=limit, dtype=dtype)


def cache_at(cache_dir, runs_dir, **fields):
    """Returns the `LogitCache` in its directory, by default `.logits` in that of the runs."""
    return LogitCache(str(cache_dir or pathlib.Path(runs_dir) / ".logits"), **fields)


def print_results(runs):
    """Prints the final table of finished runs and where their networks are.

    Args:
        runs: dict of role ("student", "baseline", ...) to (model name, `Run`).
    """
    members, places = [], []
    for role, (model, run) in runs.items():
        members.extend(_teacher(teacher, run) for teacher in run.teachers)
        members.append((role, model, run.result))
        places.append(f"{role} saved as {run.directory.path / run.result.get('model_file', '')}")
    tests = [imbalance.of_test(result) for _, _, result in members]
    columns = dict(_COLUMNS)
    if not any(map(imbalance.is_imbalanced, tests)):
        del columns["balanced"]
    rows = [
        (role, model, *(show(result.get(name)) for name, show in list(columns.values())[2:]))
        for role, model, result in members
    ]
    tables.print_table(tuple(columns), rows)
    for (role, model, _), numbers in zip(members, tests, strict=True):
        for line in imbalance.lines_of(f"{role} {model}", numbers):
            click.echo(line)
    for place in places:
        click.echo(place)


def _teacher(teacher, run):
    """A teacher's row; a file has no training of ours, in an ensemble no accuracy either."""
    result = teacher.result() or {
        "test_accuracy": run.result["teacher_test_accuracy"] if len(run.teachers) == 1 else None,
        "parameters": count_parameters(teacher.load()) if teacher.is_file else None,
    }
    return "teacher", teacher.label, result
