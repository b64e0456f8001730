"""What `train` and `distill` share: from options to a workspace, and the final table."""

import logging
import pathlib

import click

from keras_logitkd.cli import options, tables
from keras_logitkd.cli.progress import TrainingProgress
from keras_logitkd.processes import cluster, interrupts
from keras_logitkd.runs.distribution.devices import open_devices
from keras_logitkd.runs.inputs.logit_cache import LogitCache
from keras_logitkd.runs.inputs.models import count_parameters
from keras_logitkd.runs.workspace import open_workspace

_COLUMNS = ("role", "model", "test accuracy", "parameters", "agreement", "seconds")


def workspace_of(given, progress=TrainingProgress, by_several=False):
    """Returns the `Workspace` of a command's options.

    Args:
        given: the options, those of the recipe among them.
        progress: as for `Workspace`. Defaults to progress on stderr.
        by_several: whether several machines may do the command together. Defaults to False.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("keras_logitkd").setLevel(logging.INFO)
    devices = _devices(given, by_several)
    return open_workspace(
        given["dataset"],
        given["runs_dir"],
        data_dir=given["data_dir"],
        recipe_fields=options.recipe_fields(given),
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
    rows, places = [], []
    for role, (model, run) in runs.items():
        rows.extend(_teacher_row(teacher, run) for teacher in run.teachers)
        rows.append(_row(role, model, run.result))
        places.append(f"{role} saved as {run.directory.path / run.result.get('model_file', '')}")
    tables.print_table(_COLUMNS, rows)
    for place in places:
        click.echo(place)


def _row(role, model, result):
    return (
        role,
        model,
        tables.percent(result["test_accuracy"]),
        tables.integer(result.get("parameters")),
        tables.percent(result.get("test_agreement")),
        tables.seconds(result.get("seconds")),
    )


def _teacher_row(teacher, run):
    """The row of a teacher; a file has no training of ours, in an ensemble no accuracy either."""
    result = teacher.result() or {
        "test_accuracy": run.result["teacher_test_accuracy"] if len(run.teachers) == 1 else None,
        "parameters": count_parameters(teacher.load()) if teacher.is_file else None,
    }
    return _row("teacher", teacher.label, result)
