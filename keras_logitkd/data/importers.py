"""Turns local files into TFDS datasets, for machines without a network."""

import logging
import os
import pathlib
import re
import tempfile

import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered as known

from keras_logitkd.data import catalog, cifar, idx, specs
from keras_logitkd.data.listing import default_data_dir
from keras_logitkd.data.prepared import quiet
from keras_logitkd.storage.errors import DataError, one_line

FORMATS = ("idx", "cifar", *specs.PATH_KINDS)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = "1.0.0"
_log = logging.getLogger(__name__)
_RESERVED = ("digits", *specs.PATH_KINDS)


def import_dataset(kind, path, name, data_dir=None, overwrite=False):
    """Writes local files as a TFDS dataset that `tfds.load(name, data_dir=...)` finds.

    Under the name of a dataset that TFDS knows, the copy has that dataset's version, features and
    order, and is what a download would have given.

    Args:
        kind: one of `FORMATS`.
        path: the files, see `logitkd data import --help`.
        name: lower-case letters, digits and underscores.
        data_dir: directory of TFDS datasets. Defaults to TFDS's own (~/tensorflow_datasets).
        overwrite: whether to replace a dataset of that name. Defaults to False.

    Returns:
        (Dataset, pathlib.Path): what was read, and the directory it is in.

    Raises:
        DataError: if the files cannot be read, the name is taken or not allowed, or the directory
            cannot be written.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise DataError(
            "`name` must be lower-case letters, digits and underscores, start with a letter, and "
            f"be none of {', '.join(_RESERVED)}. Received: {name!r}"
        )
    if kind not in FORMATS:
        raise DataError(f"`kind` must be one of {', '.join(FORMATS)}. Received: {kind!r}")
    root = pathlib.Path(data_dir or default_data_dir()).expanduser()
    registered = _registered(name, root)
    target = root / name / (str(registered.version) if registered else _VERSION)
    _check_free(name, target, overwrite)
    dataset, extras = _read(kind, path, name)
    features = _features(name, dataset, extras, registered)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=root) as workspace:
            _write(name, target.name, workspace, dataset, extras, features)
            _move(pathlib.Path(workspace) / name / target.name, target, workspace)
    except OSError as error:
        raise DataError(f"Cannot write dataset {name!r} to {root} ({one_line(error)}).") from error
    return dataset, target


def _read(kind, path, name):
    """Returns the dataset and, per split, labels beside the class."""
    if kind == "idx":
        return idx.load_idx(path, name), {}
    if kind == "cifar":
        return cifar.load_cifar(path, name)
    dataset = catalog.load(f"{kind}:{path}", memory_budget=0)
    if dataset.validation is not None:
        _log.warning(
            "%s: TFDS has no place for what is for validation alone: its %d images become part of "
            "the training split.",
            dataset.name,
            len(dataset.validation),
        )
    return dataset, {}


def _registered(name, root):
    """Returns TFDS's own builder of that name, or None."""
    if name not in known.list_imported_builders():
        return None
    builder_class = tfds.builder_cls(name)
    if builder_class.BUILDER_CONFIGS:
        raise DataError(f"{name!r} is a TFDS dataset with configurations. Choose another name.")
    return builder_class(data_dir=os.fspath(root))


def _check_free(name, target, overwrite):
    if not target.parent.is_dir():
        return
    others = [entry.name for entry in target.parent.iterdir() if entry.name != target.name]
    if target.exists() and not overwrite:
        raise DataError(
            f"Dataset {name!r} exists: {target}. Choose another name, or replace it (--overwrite)."
        )
    if others:
        raise DataError(
            f"{target.parent} holds other versions of {name!r} ({', '.join(sorted(others))}). "
            "Choose another name."
        )


def _features(name, dataset, extras, registered):
    """Returns the features to write, those of TFDS's own dataset under its name."""
    features = {
        "image": tfds.features.Image(shape=dataset.image_shape),
        "label": tfds.features.ClassLabel(names=list(dataset.class_names)),
    }
    for key, names in extras.get("names", {}).items():
        features[key] = tfds.features.ClassLabel(names=list(names))
    if registered is None:
        return tfds.features.FeaturesDict(features)
    wanted = registered.info.features
    if "id" in wanted:
        features["id"] = tfds.features.Text()
    same = (
        set(wanted) == set(features)
        and wanted["image"].shape == dataset.image_shape
        and wanted["label"].num_classes == dataset.num_classes
    )
    if not same:
        raise DataError(
            f"{name!r} is a TFDS dataset with other features: {', '.join(wanted)}; image "
            f"{wanted['image'].shape if 'image' in wanted else None}. Received: "
            f"{', '.join(features)}; image {dataset.image_shape}, {dataset.num_classes} classes. "
            "Choose another name."
        )
    return tfds.features.FeaturesDict(features)


def _write(name, version, data_dir, dataset, extras, features):
    with quiet():
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version=version,
            features=features,
            split_datasets={
                split.name: _examples(split, extras.get(split.name, {}), "id" in features)
                for split in (dataset.train, dataset.test)
            },
            data_dir=data_dir,
            description=f"Imported by `logitkd data import` from {dataset.name}.",
        )


def _examples(split, extras, with_id):
    """Yields (key, example); TFDS orders by the key, as in its own datasets."""
    for index in range(len(split)):
        image = split.images.encoded(index)
        example = {"image": image, "label": int(split.labels[index])}
        example |= {key: int(values[index]) for key, values in extras.items()}
        if with_id:
            example["id"] = f"{split.name}_{index:05d}"
        yield index, example


def _move(source, target, workspace):
    """Puts a finished dataset in place; an old one is removed only then."""
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        os.rename(target, os.path.join(workspace, "replaced"))
    os.rename(source, target)
