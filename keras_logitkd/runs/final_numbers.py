"""The final numbers of a run, and what they were made with.

The test set is read here, once, and nowhere else; again only where it is another one since.
"""

import importlib.metadata

import numpy as np

from keras_logitkd.runs import evaluation
from keras_logitkd.runs.inputs.models import count_parameters

_PACKAGES = ("keras-logitkd", "keras", "tensorflow", "numpy")


def final_numbers(network, data, logits, checkpointer):
    """Returns what result.json says of a trained network, a dict; accuracies are in [0, 1].

    Args:
        network: the trained `keras.Model`; where something is held out it has the weights of the
            best epoch afterwards.
        data: the `RunData`.
        logits: the `TeacherLogits`, or None on hard labels.
        checkpointer: the `Checkpointer` of the training, with its rows and its best epoch.

    Raises:
        FloatingPointError: If the network's logits are not finite.
    """
    dataset, last = data.dataset, checkpointer.rows[-1]
    result = numbers_on_test(network, data, logits)
    result["train_loss"], result["train_accuracy"] = last["loss"], last["accuracy"]
    if data.noisy is not None:
        trained_on = data.evaluation_batches(dataset.train, data.train_indices)
        result |= data.noisy.measure(evaluation.predict(network, trained_on)[0])
    if checkpointer.best is not None:
        result["validation_accuracy"] = last["val_accuracy"]
        checkpointer.load_best(network)
        batches = data.evaluation_batches(dataset.test)
        accuracy = evaluation.accuracy(*evaluation.predict(network, batches))
        result["best_by_validation"] = {**checkpointer.best, "test_accuracy": accuracy}
    result["parameters"] = count_parameters(network)
    result["epochs"] = data.recipe.epochs
    result["train_examples"] = len(data.train_indices)
    if unlabelled := len(data.seen_indices) - len(data.train_indices):
        result["unlabelled_examples"] = unlabelled
    return result


def numbers_on_test(network, data, logits):
    """Returns what result.json says of a network on the test part, a dict, and which part it was.

    Arguments and errors are those of `final_numbers`.
    """
    test = data.dataset.test
    test_logits, labels = evaluation.predict(network, data.evaluation_batches(test))
    if not np.isfinite(test_logits).all():
        raise FloatingPointError(
            "The trained network's logits are not finite. Lower the learning rate"
        )
    metrics = evaluation.classification_metrics(test_logits, labels)
    metrics |= evaluation.by_class(test_logits, labels, tuple(data.dataset.class_names))
    result = {f"test_{name}": value for name, value in metrics.items()}
    if logits is not None:
        teacher_logits = logits.of(test)
        result["teacher_test_accuracy"] = evaluation.accuracy(teacher_logits, labels)
        result["test_agreement"] = evaluation.agreement(test_logits, teacher_logits)
    return {**result, "test_fingerprint": test.fingerprint()}


def balanced_validation(network, data):
    """Returns the balanced accuracy of a network on what a run holds out, a float in [0, 1].

    `network` and `data` are as for `final_numbers`.
    """
    batches = data.evaluation_batches(data.dataset.train, data.validation_indices)
    logits, labels = evaluation.predict(network, batches)
    return evaluation.by_class(logits, labels, tuple(data.dataset.class_names))["balanced_accuracy"]


def installed_versions():
    """Returns a dict of the packages that numbers depend on to their versions."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
