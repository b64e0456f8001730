"""What is on this machine, found without importing TensorFlow."""

import dataclasses
import json
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared TFDS dataset on disk.

    Args:
        name: as `catalog.load` takes it, "name", "name/config" or with ":version".
        directory: where it is.
        splits: dict of split name to number of examples.
    """

    name: str
    directory: str
    splits: dict


def default_data_dir():
    """Returns TFDS's directory: the environment's TFDS_DATA_DIR or ~/tensorflow_datasets."""
    default = os.path.join("~", "tensorflow_datasets")
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR", default)).expanduser()


def prepared_datasets(data_dir=None):
    """Lists the prepared TFDS datasets of a directory.

    Args:
        data_dir: the directory. Defaults to `default_data_dir()`.

    Returns:
        List of `Prepared`, sorted by name; empty where there is no such directory.
    """
    root = pathlib.Path(data_dir).expanduser() if data_dir else default_data_dir()
    files = (file for depth in ("*/*", "*/*/*") for file in root.glob(f"{depth}/dataset_info.json"))
    found = [entry for file in files if (entry := _describe(root, file)) is not None]
    return sorted(found, key=lambda entry: entry.name)


def _describe(root, description):
    parts = description.parent.relative_to(root).parts
    complete = (description.parent / "features.json").is_file()
    if not complete or any(part.startswith(".") or "incomplete" in part for part in parts):
        return None
    try:
        info = json.loads(description.read_text(encoding="utf-8"))
        splits = {
            split["name"]: sum(map(int, split.get("shardLengths", ())))
            for split in info.get("splits", ())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    name = f"{'/'.join(parts[:-1])}:{parts[-1]}"
    return Prepared(name, os.fspath(description.parent), splits)
