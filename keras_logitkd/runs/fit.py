"""One run: trained, found finished, or refused; what is done before and around its training."""

import logging

from keras_logitkd.runs import faults
from keras_logitkd.runs.distribution.devices import ONE_DEVICE
from keras_logitkd.runs.job import Job
from keras_logitkd.runs.spec.settings import differing_settings

_log = logging.getLogger(__name__)


def run(
    settings,
    dataset,
    directory,
    teachers=(),
    cache=None,
    resume=False,
    callbacks=(),
    checkpoint_steps=None,
    wait=False,
    devices=ONE_DEVICE,
):
    """Trains a network, or reports a finished run of the same settings.

    Args:
        settings: a `RunSettings`.
        dataset: the `Dataset` that it names.
        directory: a `RunDirectory`.
        teachers: list of `Teacher`; they are trained and loaded only if something needs them.
        cache: a `LogitCache`: each view of the teachers' logits is computed once, before the first
            epoch that uses it, and read from there. Defaults to None: the teachers run in every
            step.
        resume: whether to continue an unfinished run. Defaults to False: begin again.
        callbacks: Keras callbacks, for instance for progress.
        checkpoint_steps: a checkpoint follows so many steps within an epoch, besides the one at
            its end. Defaults to None: ten minutes after the last one, on several machines only at
            the end of epochs.
        wait: whether to wait for another process that trains this run. Defaults to False: it is
            an error.
        devices: the `Devices` to train on; of several machines, the chief alone writes to the
            directory, which all must see. Defaults to one device.

    Returns:
        The final numbers, the content of result.json.

    Raises:
        ValueError: If the directory holds a run with other settings, cannot be written, or another
            process trains in it.
        FloatingPointError: If the loss stops being finite.
        WorkerLostError: If another machine is gone.
        MemoryError: If there is not enough memory.
        StorageError: If the directory can no longer be written.
    """
    devices.check(settings.recipe)
    if not devices.is_chief:
        return _follow(settings, dataset, directory, teachers, cache, checkpoint_steps, devices)
    if (result := _finished(settings, directory)) is not None:
        devices.from_chief("finished")
        return result
    devices.from_chief("prepare")
    # Refuses before anything is written.
    job = Job(settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices)
    with directory.locked(wait), faults.named(directory.path, settings.recipe.batch_size):
        # Another process may have finished it, or begun a run of that name, meanwhile.
        result = _finished(settings, directory)
        devices.from_chief("train" if result is None else "finished")
        if result is not None:
            return result
        directory.start(settings.to_config())
        if not resume:
            directory.clear()
        return job.execute()


def _follow(settings, dataset, directory, teachers, cache, checkpoint_steps, devices):
    """What other machines do while the chief does `run`: they train with it, and write nothing.

    Returns:
        What the chief wrote.
    """
    if devices.from_chief() == "prepare":
        job = Job(settings, dataset, directory, teachers, cache, (), checkpoint_steps, devices)
        if devices.from_chief() == "train":
            job.train()
            devices.from_chief()  # It has written its result.
    if (result := directory.read_result()) is None:
        raise ValueError(
            f"{directory.path} must be the same directory on all machines. Received: one without "
            "the chief's result.json"
        )
    return result


def _finished(settings, directory):
    """The result of the run, or None; ValueError where the directory is of another one."""
    config, previous = settings.to_config(), directory.read_config()
    if previous is not None and (names := differing_settings(config, previous)):
        raise ValueError(
            f"{directory.path} holds a run with other settings ({', '.join(names)}). "
            "Give another name, or remove it"
        )
    result = directory.read_result()
    if result is None or not directory.model_file(settings.kind).is_file():
        return None
    _log.info("%s is finished already", directory.name)
    return result


def validate(
    settings,
    dataset,
    directory,
    teachers,
    cache=None,
    epochs=None,
    callbacks=(),
    checkpoint_steps=None,
    devices=ONE_DEVICE,
):
    """Trains as `run` does, from the last checkpoint on, and never reads the test set.

    Args:
        settings, dataset, teachers, cache, callbacks, checkpoint_steps: as for `run`.
        devices: as for `run`, of one machine.
        directory: a `RunDirectory` for metrics and checkpoints; it must exist.
        epochs: stops after so many of the recipe's epochs. Defaults to all.

    Returns:
        The metrics of the last epoch, with the seconds of all epochs as `seconds` and, where the
        teachers' logits are stored, those of them spent on computing logits as `teacher_seconds`.

    Raises:
        ValueError: If nothing is held out for validation.
        FloatingPointError: If the loss stops being finite.
    """
    devices.check(settings.recipe)
    job = Job(settings, dataset, directory, teachers, cache, callbacks, checkpoint_steps, devices)
    if not len(job.data.validation_indices):
        raise ValueError(
            "`validation` must hold out at least one example. "
            f"Received: validation={settings.recipe.validation:g}"
        )
    with directory.locked(), faults.named(directory.path, settings.recipe.batch_size):
        seconds = job.train(epochs)
    metrics = {**job.checkpointer.rows[-1], "seconds": seconds}
    return metrics | ({"teacher_seconds": job.logits.seconds} if job.stored else {})
