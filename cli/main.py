"""The entry point of `logitkd`: finds the command and turns errors into one line."""

import os
import shlex
import sys
import traceback

import click

from keras_logitkd.cli import registry
from keras_logitkd.processes import cluster, interrupts
from keras_logitkd.storage.atomic import StorageError

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


class _StoppedError(Exception):
    """The command was stopped by a signal."""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is used, so that help is immediate."""

    def list_commands(self, ctx):
        return [command.name for command in registry.COMMANDS]

    def get_command(self, ctx, name):
        command = registry.find(name)
        return command and command.load()

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # click would forget which signal it was
            raise _StoppedError(error) from error

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.help) for command in registry.COMMANDS])
        formatter.write_paragraph()
        formatter.write_text("logitkd COMMAND --help has the options of each.")


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="keras-logitkd", prog_name="logitkd")
def logitkd():
    """Knowledge distillation on logits for Keras, correct at every temperature."""


def main(arguments=None):
    """Runs the command line and exits: 0 done, 1 failed, 2 bad input, 130 or 143 stopped."""
    # TensorFlow reads this when it is imported: errors only.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow leaves oneDNN off on CPUs without AVX-512, where a step takes 1.5 times as long.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_run(arguments))


def _run(arguments):
    try:
        with interrupts.handling():
            code = logitkd.main(
                args=arguments, prog_name="logitkd", standalone_mode=False, obj=arguments
            )
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return 0
    except (click.Abort, KeyboardInterrupt, _StoppedError) as error:
        _show_cursor()
        cause = error.__cause__ or error
        click.echo(f"logitkd: {_stopped(cause, arguments)}", err=True)
        return getattr(cause, "exit_code", INTERRUPTED)
    except Exception as error:  # The last place that can turn an error into one line.
        _show_cursor()
        if "--debug" in arguments:
            traceback.print_exc()
        if isinstance(error, cluster.WorkerLostError) and interrupts.PARENT in os.environ:
            return cluster.LOST  # who launched it knows which worker that was
        error = _explained(error)
        click.echo(f"logitkd: error: {_one_line(error)}", err=True)
        return _exit_code(error)


def _explained(error):
    """What TensorFlow raised outside a training, as an error that says what happened."""
    if "tensorflow" not in sys.modules:
        return error
    from keras_logitkd.runs import faults

    return faults.explained(error) or error


def _stopped(cause, arguments):
    """The line that says what stopped the command and how to continue it."""
    what = str(cause) if isinstance(cause, interrupts.Interrupted) else "interrupted"
    command = registry.find(arguments[0]) if arguments else None
    if command is None or command.continued is None:
        return what
    again = ["logitkd", *arguments]
    if command.continued == registry.RESUME and registry.RESUME not in arguments:
        again.append(registry.RESUME)
    return f"{what}; continue with: {shlex.join(again)}"


def _show_cursor():
    """Gives a terminal back the cursor that a progress bar, ended by an error, has hidden."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")


def _exit_code(error):
    # The library raises ValueError for what it was given, OSError comes from the paths given, and
    # StorageError from a disk that is full, or directories that vanish, while it works.
    if isinstance(error, StorageError):
        return FAILED
    is_input = isinstance(error, click.ClickException | ValueError | OSError)
    return BAD_INPUT if is_input else FAILED


def _of_usage(error):
    """What click found wrong, with what was meant and the place in a file."""
    from keras_logitkd.cli import config_file, near_misses

    if not isinstance(error, click.UsageError):
        return error.format_message()
    return near_misses.explained(error) + config_file.place_of(error)


def _one_line(error):
    if isinstance(error, click.ClickException):
        text = _of_usage(error)
    elif isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = str(error) if str(error).startswith("Out of memory") else f"Out of memory: {error}"
    elif isinstance(error, ValueError | OSError | FloatingPointError | cluster.WorkerLostError):
        text = str(error)
    else:
        text = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    return " ".join(text.split())
