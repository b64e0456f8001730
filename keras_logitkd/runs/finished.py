"""A finished run: found, refused, or measured again where its test part has changed since."""

import logging
import os

from keras_logitkd.data import specs
from keras_logitkd.networks import sizes
from keras_logitkd.runs.final_numbers import numbers_on_test
from keras_logitkd.runs.inputs.models import load_model
from keras_logitkd.runs.inputs.run_data import RunData
from keras_logitkd.runs.inputs.teacher_logits import TeacherLogits
from keras_logitkd.runs.spec.settings import differing_settings

_log = logging.getLogger(__name__)


def finished(job):
    """Returns the final numbers of a `Job` whose run is finished, or None.

    Raises:
        ValueError: If the directory holds a run with other settings.
    """
    directory, previous = job.directory, job.directory.read_config()
    names = previous is not None and differing_settings(job.settings.to_config(), previous)
    if names:
        raise ValueError(
            f"{directory.path} holds a run with other settings ({', '.join(names)}). "
            "Give another name, or remove it"
        )
    result = directory.read_result()
    if result is None or not directory.model_file(job.settings.kind).is_file():
        return None
    _log.info("%s is finished already", directory.name)
    _follow_data(directory, previous, job.settings.dataset)
    dataset = job.workspace.dataset
    if is_measured(result, job.settings, dataset):
        return result
    # Numbers of a teacher that is gone stay away.
    is_new = _is_of_other_tests(result, dataset) or _are_there(job.teachers)
    return measure_again(job, result) if is_new else result


def _follow_data(directory, config, dataset):
    """Records where the data are now, for commands on the run, where they are not there any more.

    Args:
        directory: the `RunDirectory`.
        config: its config.json, or None.
        dataset: specification of the data as they were given now.
    """
    recorded = config and config.get("dataset")
    if recorded and recorded != dataset and not os.path.exists(specs.parse(recorded)[0]):
        directory.start({**config, "dataset": dataset})
        _log.info("%s: its data are recorded as %s now", directory.name, dataset)


def is_measured(result, settings, dataset):
    """Whether final numbers are of the test part that a `Dataset` has, and of the run's teachers.

    Those of version 0.1 do not say of which they are: their runs are of one test part only.
    """
    if "test_fingerprint" not in result:
        return True
    has_teachers = not settings.teachers or "test_agreement" in result
    return has_teachers and not _is_of_other_tests(result, dataset)


def _is_of_other_tests(result, dataset):
    return result["test_fingerprint"] != dataset.test.fingerprint()


def _are_there(teachers):
    return all(teacher.is_file or teacher.result() is not None for teacher in teachers)


def measure_again(job, result):
    """Measures the saved network of a finished run on the test part as it is now.

    What cannot be measured any more is left out, and a line in the log says so: the teachers where
    they are gone, and the test accuracy of the best epoch, whose weights are kept only where it is
    the last one. Processes that do this at the same time write the same.

    Args:
        job: the finished `Job`.
        result: its final numbers, as in result.json.

    Returns:
        The new final numbers, which are in result.json then.

    Raises:
        ValueError: If the saved network cannot be loaded.
        FloatingPointError: If its logits are not finite.
    """
    dataset = job.workspace.dataset
    data = RunData(job.settings, dataset)
    views = job.settings.recipe.augmentation.output_shape(dataset.image_shape)
    network = load_model(job.directory.model_file(job.settings.kind))
    network = sizes.on_images(network, views)
    logits, missing = None, []
    if _are_there(job.teachers):
        if job.teachers:
            logits = TeacherLogits(job.teachers, data, job.workspace.cache)
    else:
        missing.append("the teacher's numbers, whose run is gone")
    numbers = numbers_on_test(network, data, logits)
    kept = {name: value for name, value in result.items() if not _is_on_test(name)}
    best = kept.get("best_by_validation")
    if best and _is_of_other_tests(result, dataset):
        best = {name: value for name, value in best.items() if not _is_on_test(name)}
        if best["epoch"] == job.directory.read_metrics()[-1]["epoch"]:
            best["test_accuracy"] = numbers["test_accuracy"]
        else:
            missing.append("the test accuracy of the best epoch, whose weights are not kept")
        kept["best_by_validation"] = best
    _log.info(
        "%s: its test part or its teachers changed since; its saved network was measured again%s",
        job.directory.name,
        f". Left out: {'; '.join(missing)}" if missing else "",
    )
    job.directory.write_result({**numbers, **kept})
    return job.directory.read_result()


def _is_on_test(name):
    return name.startswith(("test_", "teacher_test_"))
