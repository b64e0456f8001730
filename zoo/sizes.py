"""Parameters and operations of networks: of the listed ones from a table, of others counted.

`python -m keras_logitkd.zoo.sizes` writes the table, sizes.json, anew. Reading it needs no Keras.
"""

import functools
import json
import pathlib

from keras_logitkd.zoo import registry

TABLE = pathlib.Path(__file__).with_name("sizes.json")


def size_of(name, image_size=None, channels=3, classes=None):
    """Returns what a network costs, a dict.

    Args:
        name: of a model, see `registry.parse_name`.
        image_size: side of the images in pixels. Defaults to that of the family's papers.
        channels: of the images. Defaults to 3.
        classes: number of logits. Defaults to that of the family's papers.

    Returns:
        `name`; `family`; `input_shape`, `[height, width, channels]`; `classes`; `parameters`, the
        trainable ones; `flops`, those of one image as `count_flops` counts them. From the table
        where it has that row, else of a network that is built for it.

    Raises:
        ValueError: If there is no such network, or another argument is outside what is allowed.
    """
    return known(name, image_size, channels, classes) or _counted(
        _asked(name, image_size, channels, classes)
    )


def known(name, image_size=None, channels=3, classes=None):
    """Returns what `size_of` would where the table has it, else None. Builds nothing."""
    asked = _asked(name, image_size, channels, classes)
    row = _table().get(name, {})
    return row if asked == {key: row.get(key) for key in asked} else None


def _asked(name, image_size=None, channels=3, classes=None):
    """The part of a row that is not counted."""
    family = registry.family_of(name)
    side = family.image_size if image_size is None else image_size
    classes = family.classes if classes is None else classes
    shape = [side, side, channels]
    return {"name": name, "family": family.name, "input_shape": shape, "classes": classes}


def _counted(asked):
    """The row of what is asked for, of a network that is built."""
    from keras_logitkd.zoo import flops

    model = registry.build(asked["name"], asked["input_shape"], asked["classes"])
    counts = {"parameters": flops.count_parameters(model), "flops": int(flops.count_flops(model))}
    return {**asked, **counts}


@functools.cache
def _table():
    rows = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else []
    return {row["name"]: row for row in rows}


def write_table(path=TABLE):
    """Counts every listed network at its family's sizes and writes the rows as JSON.

    Args:
        path: of the file. Defaults to the table that is installed.
    """
    rows = [json.dumps(_counted(_asked(name))) for name in registry.list_models()]
    pathlib.Path(path).write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write_table()
