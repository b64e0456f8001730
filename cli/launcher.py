"""`--workers`: a command of several processes of this machine."""

import sys

import click


def run_workers(context, workers):
    """Exits with the chief's code, or returns where this process is to do the work.

    That is so without other workers, and where TF_CONFIG says that it is one of them.
    """
    from keras_logitkd.processes import cluster

    task = cluster.task()
    if task is not None and workers not in (1, task.workers):
        raise click.UsageError(
            f"'--workers' is {workers}, but {cluster.VARIABLE} names {task.workers}"
        )
    if task is not None or workers == 1:
        return
    context.exit(cluster.launch(command_of(context.obj), workers))


def command_of(arguments):
    """Returns the command of a process that does what this one was told, a list of strings."""
    return [sys.executable, "-c", "from keras_logitkd.cli.main import main; main()", *arguments]
