"""Datasets by specification: `digits`, `npz:PATH`, `folder:PATH` or a TFDS name."""

from keras_logitkd.storage.errors import DataError

MEMORY_BUDGET = 4 * 2**30
WELL_KNOWN = ("cifar10", "cifar100", "fashion_mnist", "imagenet2012", "mnist", "svhn_cropped")


def load(spec, data_dir=None, memory_budget=MEMORY_BUDGET):
    """Loads a dataset.

    Args:
        spec: "digits" (embedded), "npz:PATH", "folder:PATH", or the name of a TFDS
            image-classification dataset with optional config and version ("cifar100",
            "imagenet2012:5.1.0").
        data_dir: directory of TFDS datasets. Defaults to TFDS's own (~/tensorflow_datasets).
        memory_budget: bytes; sets of equally sized images that fit are held in memory. Defaults to
            4 GiB.

    Returns:
        A `Dataset`.

    Raises:
        DataError: if there is no such dataset, or it cannot be used for image classification.
    """
    from keras_logitkd.data import arrays, folder

    kind, _, path = spec.partition(":")
    if spec == "digits":
        return arrays.load_digits()
    if kind in ("npz", "folder") and not path:
        raise DataError(f"Dataset {spec!r} needs a path: {kind}:PATH")
    if kind == "npz":
        return arrays.load_npz(path)
    if kind == "folder":
        return folder.load_folder(path, memory_budget)
    from keras_logitkd.data import prepared

    return prepared.load_tfds(spec, data_dir, memory_budget)
