"""Datasets by their specifications, see `specs`."""

import dataclasses
import logging

from keras_logitkd.data import specs

MEMORY_BUDGET = 4 * 2**30
WELL_KNOWN = ("cifar10", "cifar100", "fashion_mnist", "imagenet2012", "mnist", "svhn_cropped")

_log = logging.getLogger(__name__)


def load(spec, data_dir=None, memory_budget=MEMORY_BUDGET, checked=False):
    """Loads a dataset.

    Args:
        spec: "digits" (embedded), "npz:PATH", "folder:PATH", "csv:PATH", or the name of a TFDS
            image-classification dataset with optional config and version ("cifar100",
            "imagenet2012:5.1.0"). Options of image files are in `specs`.
        data_dir: directory of TFDS datasets. Defaults to TFDS's own (~/tensorflow_datasets).
        memory_budget: bytes; sets of equally sized images that fit are held in memory. Defaults to
            4 GiB.
        checked: whether every image file is decoded first, as before a training; what was found is
            remembered, and what is odd in the dataset is logged. Defaults to False.

    Returns:
        A `Dataset`.

    Raises:
        DataError: if there is no such dataset, or it cannot be used for image classification.
    """
    from keras_logitkd.data import arrays, check, folder, table

    kind = specs.kind_of(spec)
    if spec == "digits":
        return arrays.load_digits()
    if kind == "npz":
        return arrays.load_npz(specs.parse(spec)[0])
    if kind in specs.FILE_KINDS:
        load_files = folder.load_folder if kind == "folder" else table.load_csv
        dataset = load_files(spec, memory_budget, checked)
        for line in check.warnings(check.report(dataset)) if checked else ():
            _log.warning(line)
        return dataset
    from keras_logitkd.data import prepared

    return prepared.load_tfds(spec, data_dir, memory_budget)


def load_all(spec, unlabelled=None, data_dir=None, memory_budget=MEMORY_BUDGET):
    """Loads what a training reads, every image file of it decoded first.

    Args:
        spec, data_dir, memory_budget: as for `load`.
        unlabelled: specification of images without labels. Defaults to None: there are none.

    Returns:
        A `Dataset`, with the images without labels in its `unlabelled`.

    Raises:
        DataError: as `load` and `unlabelled.load_unlabelled`.
    """
    dataset = load(spec, data_dir, memory_budget, checked=True)
    if unlabelled is None:
        return dataset
    from keras_logitkd.data.unlabelled import load_unlabelled

    others = load_unlabelled(unlabelled, dataset, memory_budget)
    return dataclasses.replace(dataset, unlabelled=others)


def specs_of(dataset):
    """Returns the specifications that a `Dataset` was loaded by, the same from everywhere: a list
    of its own and, where it has images without labels, theirs."""
    parts = [dataset] if dataset.unlabelled is None else [dataset, dataset.unlabelled]
    return [specs.absolute(part.name) for part in parts]
