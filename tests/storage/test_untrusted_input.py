"""Files and names from outside: nothing is run, unpacked without limit, or leaves its place."""

import ast
import gzip
import json
import pathlib
import re
import struct
import zipfile

import keras
import numpy as np
import pytest

from keras_logitkd.analysis import finished_run
from keras_logitkd.data import idx
from keras_logitkd.data.arrays import load_npz
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import models
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.spec.settings import RunSettings
from keras_logitkd.storage import unpacking

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = sorted(
    path
    for part in ("keras_logitkd", "zoo", "cli", "benchmarks")
    for path in (ROOT / part).rglob("*.py")
)
CODE_LOADERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
}
# What a loader must be told, by the name it is called by.
MUST_SAY = {
    "np.load": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
    "keras.saving.load_model": ("safe_mode", True),
}


def called(node):
    return ast.unparse(node.func).replace("numpy.", "np.")


def dangers(tree):
    """What of a source file could run what a file says."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names.append(getattr(node, "module", None) or "")
            yield from (name for name in names if name.partition(".")[0] in CODE_LOADERS)
        if not isinstance(node, ast.Call):
            continue
        said = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if (must := MUST_SAY.get(called(node))) and said.get(must[0]) != str(must[1]):
            yield f"{called(node)} without {must[0]}={must[1]}, line {node.lineno}"
        if said.get("allow_pickle") == "True" or called(node) in ("eval", "exec"):
            yield f"{called(node)}, line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_loads_code_from_files(path):
    assert list(dangers(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load('x')",
        "np.load('x', allow_pickle=True)",
        "torch.load('x', map_location='cpu')",
        "keras.saving.load_model('x')",
        "eval('1')",
    ],
)
def test_the_search_for_such_sources_finds_them(source):
    assert list(dangers(ast.parse(source)))


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_lambda_layer_in_a_model_file_is_refused_in_one_line(tmp_path, ending):
    file, double = tmp_path / f"model.{ending}", keras.layers.Lambda(lambda x: x * 2.0)
    layers = [keras.Input((8, 8, 1)), double, keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential(layers).save(file)
    with pytest.raises(
        ValueError, match="has a Lambda layer: Python code in files is not"
    ) as error:
        models.load_model(file)
    assert "\n" not in str(error.value)


def bomb(file, member, size):
    """A zip archive with a member that unpacks to so many zeros."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, bytes(size))


@pytest.mark.parametrize("load", [models.load_model, load_npz])
def test_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, load):
    file = tmp_path / ("model.keras" if load is models.load_model else "data.npz")
    bomb(file, "model.weights.h5" if load is models.load_model else "images.npy", 2_000_000)
    assert file.stat().st_size < 10_000
    monkeypatch.setattr(unpacking, "LIMIT", 1_000_000)
    with pytest.raises(ValueError, match="would unpack to 2000000 bytes. Allowed: up to 1000000"):
        load(file)


def test_npz_member_whose_header_declares_more_than_it_has(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776, 8, 8), }"
    header = header.ljust(117) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"few"
    file = tmp_path / "data.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", npy)
    with pytest.raises(ValueError, match="is corrupt or no .npz file"):
        load_npz(file)


def test_npz_with_a_pickled_array(tmp_path):
    file = tmp_path / "data.npz"
    np.savez(file, images=np.array([{"code": 1}], dtype=object), labels=np.zeros(1))
    with pytest.raises(ValueError, match="is corrupt or no .npz file of plain arrays"):
        load_npz(file)


@pytest.mark.parametrize("declared", [(2**20, 2**10, 2**10), (1, 8, 8)])
def test_gzipped_idx_that_unpacks_to_too_much(tmp_path, declared):
    """It declares too much, or has more than it declares; neither is read to its end."""
    file = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(file, "wb") as archive:
        archive.write(bytes((0, 0, 8, 3)) + np.array(declared, ">u4").tobytes() + bytes(10_000_000))
    with pytest.raises(ValueError, match="more than|too long"):
        idx.read_idx(file, 3)


NAMES = ("../x", "/x", "a/b", "..", ".", "", ".hidden", "a\\b", "a\nb", "a\0b", "-x", "x ", "ü")


@pytest.mark.parametrize("name", NAMES)
def test_run_names_are_no_paths(tmp_path, name):
    with pytest.raises(ValueError, match="`name` must be letters, digits and"):
        RunDirectory(tmp_path, name)


@pytest.mark.parametrize("name", NAMES)
def test_dataset_names_are_no_paths(tmp_path, name):
    from keras_logitkd.data.importers import import_dataset

    with pytest.raises(ValueError, match="`name` must be lower-case letters"):
        import_dataset("npz", tmp_path / "x.npz", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_teacher_of_a_config_is_no_path(tmp_path, tiny, tiny_recipe):
    directory = RunDirectory(tmp_path / "runs", "run")
    names = {"teachers": ("../../secret",), "loss": "mse"}
    settings = RunSettings(model="wrn-10-1", dataset="npz:x", recipe=tiny_recipe, **names)
    with pytest.raises(ValueError, match="`name` must be letters, digits and"):
        finished_run.find_teachers(settings, directory, tiny)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "3", "recipe: `epochs` must be an integer. Received: '3'"),
        ("epochs", True, "recipe: `epochs` must be an integer. Received: True"),
        ("epochs", 0, "`epochs` must be at least 1. Received: epochs=0"),
        ("learning_rate", None, "recipe: `learning_rate` must be a number. Received: None"),
        ("learning_rate", float("nan"), "`learning_rate` must be finite"),
        ("nesterov", 1, "recipe: `nesterov` must be true or false. Received: 1"),
        ("lr_drops", 0.5, "recipe: `lr_drops` must be a list, each of it a number"),
        ("lr_drops", [0.5, "x"], "recipe: `lr_drops` must be a list, each of it a number"),
        ("teacher", ["x"], "recipe: `teacher` must be a text"),
        ("lr_drop", 1, "recipe has the unknown field 'lr_drop'. The nearest is 'lr_drops'"),
    ],
)
def test_recipes_are_checked_field_by_field(field, value, message):
    config = {**Recipe(epochs=2).to_config(), field: value}
    with pytest.raises(ValueError, match=re.escape(message)):
        Recipe.from_config(config)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", "0", "config.json: `seed` must be an integer. Received: '0'"),
        ("teachers", "x", "config.json: `teachers` must be a list, each of it a text"),
        ("model", 3, "config.json: `model` must be a text. Received: 3"),
        ("recipe", [], "recipe must be a JSON object. Received: []"),
        ("sead", 1, "config.json has the unknown field 'sead'. The nearest is 'seed'"),
    ],
)
def test_settings_are_checked_field_by_field(tiny_recipe, field, value, message):
    config = {
        **RunSettings(model="wrn-10-1", dataset="digits", recipe=tiny_recipe).to_config(),
        field: value,
    }
    with pytest.raises(ValueError, match=re.escape(message)):
        RunSettings.from_config(json.loads(json.dumps(config)))


def test_settings_without_a_field():
    with pytest.raises(ValueError, match="config.json must have the field 'dataset'"):
        RunSettings.from_config({"kind": "train", "model": "wrn-10-1"})
