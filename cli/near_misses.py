"""What was probably meant by an option or a command that is not there."""

import difflib

import click

# What it is here, and what other tools call it.
_ELSEWHERE = (
    ("--learning-rate", ("lr", "learning-rate-init", "init-lr", "base-lr")),
    ("--lr-drops", ("lr-schedule", "lr-decay-epochs", "milestones", "schedule")),
    ("--lr-drop-factor", ("lr-decay", "lr-decay-rate", "gamma")),
    ("--weight-decay", ("wd", "l2", "decay", "regularization")),
    ("--batch-size", ("bs", "batch", "batchsize", "train-batch-size")),
    ("--epochs", ("num-epochs", "n-epochs", "max-epochs")),
    ("--tau", ("temperature", "temp", "t", "kd-temperature", "kd-t")),
    ("--alpha", ("lambda", "kd-weight", "distill-weight")),
    ("--loss", ("objective", "criterion", "distill", "kd-loss")),
    ("--label-smoothing", ("smoothing", "smooth")),
    ("--validation", ("val-split", "validation-split", "val", "holdout")),
    ("--student-size", ("img-size", "image-size", "input-size", "crop-size")),
    ("--student", ("model", "arch", "model-s", "s")),
    ("--model", ("student", "arch", "network", "net")),
    ("--teacher", ("model-t", "path-t", "teacher-path")),
    ("--dataset", ("data", "dataset-name", "data-path", "train-dir")),
    ("--data-dir", ("data-root", "root", "dataset-dir")),
    ("--runs-dir", ("out", "output", "output-dir", "save-dir", "logdir", "log-dir")),
    ("--devices", ("gpus", "gpu", "device", "cuda")),
    ("--workers", ("num-workers", "nproc", "processes", "num-processes")),
    ("--config", ("cfg", "config-file", "yaml")),
    ("--name", ("run-name", "experiment", "exp-name", "tag")),
    ("--seed", ("random-seed", "random-state", "manual-seed")),
    ("--debug", ("verbose", "traceback")),
)


def explained(error):
    """Returns the line of a click.UsageError, with what is near to a wrong option or command."""
    near = []
    if isinstance(error, click.NoSuchOption):
        near = _options_near(error.option_name, _flags(error.ctx))
    elif isinstance(error, click.exceptions.NoSuchCommand):
        known = error.ctx.command.list_commands(error.ctx)
        near = difflib.get_close_matches(error.command_name, known, n=1)
    return f"{error.message} Did you mean {near[0]!r}?" if near else error.format_message()


def _flags(context):
    """The long options of a command."""
    parameters = context.command.get_params(context) if context else ()
    options = (each for each in parameters if isinstance(each, click.Option))
    flags = (flag for each in options for flag in (*each.opts, *each.secondary_opts))
    return [flag for flag in flags if flag.startswith("--")]


def _options_near(flag, known):
    """The option that a flag stands for elsewhere, or the one that looks like it: a list."""
    name = flag.lstrip("-").lower().replace("_", "-")
    meant = [here for here, names in _ELSEWHERE if name in names and here in known]
    return meant[:1] or difflib.get_close_matches(f"--{name}", known, n=1)
