"""Imports run one way, and importing the package is cheap. See DESIGN.md, "Layout"."""

import ast
import configparser
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Where each part of the package lies, and by which name it is imported.
HOMES = {"keras_logitkd": "keras_logitkd", "zoo": "keras_logitkd.zoo", "cli": "keras_logitkd.cli"}
# A room imports from rooms in lines above its own, never beside or below it. `zoo` is stricter.
LAYERS = (
    ("storage", "processes", "losses"),
    ("networks", "data"),
    ("features", "zoo"),
    ("distiller", "model_specs"),
    ("runs",),
    ("tuning", "analysis"),
    ("deploy",),
    ("experiments",),
    ("report",),
    ("cli",),
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
# The package itself and the former names of modules: anybody's, and they need nobody.
ROOT_MODULES = ("root", "moved")
ZOO_OUTSIDE = {"keras", "numpy", *sys.stdlib_module_names}
ZOO_LAZY = {"tensorflow", "torch"}


def room_of(module):
    """The room of the package that a dotted module name belongs to."""
    names = module.split(".")[1:]
    return "root" if not names or names[0].startswith("__") else names[0]


def imports_of(source, module, is_package):
    """(imported dotted name, line, is at the top of the file) for every import statement."""
    tree = ast.parse(source)
    top = {id(node) for node in tree.body}
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno, id(node) in top


def violations(source, module, is_package=False):
    """What a source file imports against the directions."""
    room, found = room_of(module), []
    for name, line, is_top in imports_of(source, module, is_package):
        top = name.partition(".")[0]
        if top == "keras_logitkd":
            allowed = may_import(room, name)
        elif top in ("zoo", "cli"):
            allowed = False
        elif room == "zoo":
            allowed = top in ZOO_OUTSIDE or (top in ZOO_LAZY and not is_top)
        else:
            allowed = True
        if not allowed:
            found.append(f"{module}:{line} imports {name}")
    return found


def may_import(room, name):
    """Whether a room may import a module, or a name, of the package."""
    target = room_of(name)
    if room == "zoo" and target != "zoo":
        return name.startswith("keras_logitkd.networks.layers")
    if room in ROOT_MODULES:
        return target in ROOT_MODULES
    is_public = target not in RANK and name.count(".") <= 1  # keras_logitkd.Distiller
    return target == room or is_public or (target in RANK and RANK[target] < RANK[room])


def sources():
    for folder, package in HOMES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            names = path.relative_to(ROOT / folder).with_suffix("").parts
            is_package = names[-1] == "__init__"
            module = ".".join([package, *(names[:-1] if is_package else names)])
            yield pytest.param(path, module, is_package, id=module)


@pytest.mark.parametrize(("path", "module", "is_package"), list(sources()))
def test_imports_run_one_way(path, module, is_package):
    assert room_of(module) in {*RANK, *ROOT_MODULES}, f"{module} belongs to no room"
    assert violations(path.read_text(), module, is_package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_logitkd.losses", "from keras_logitkd import zoo"),
        ("keras_logitkd.losses.kl", "def f():\n    import keras_logitkd.cli.main"),
        ("keras_logitkd.losses.kl", "from keras_logitkd.storage import schema"),
        ("keras_logitkd.data.pipeline", "from keras_logitkd.runs import workspace"),
        ("keras_logitkd.data.pipeline", "from ..runs.workspace import run"),
        ("keras_logitkd.data.pipeline", "from .. import tuning"),
        ("keras_logitkd.networks.layers", "from keras_logitkd.data import order"),
        ("keras_logitkd.features.stages", "def f():\n    from keras_logitkd import distiller"),
        ("keras_logitkd.runs.workspace", "from keras_logitkd.cli import main"),
        ("keras_logitkd.analysis.plots", "from keras_logitkd.experiments import table2"),
        ("keras_logitkd.tuning.search", "from keras_logitkd.analysis import plots"),
        ("keras_logitkd.zoo.registry", "from keras_logitkd import losses"),
        ("keras_logitkd.zoo.registry", "from keras_logitkd.networks.endings import x"),
        ("keras_logitkd.zoo.registry", "import tensorflow as tf"),
        ("keras_logitkd.zoo.registry", "import torch"),
        ("keras_logitkd.zoo.registry", "def f():\n    import pandas"),
        ("keras_logitkd", "from keras_logitkd.cli.main import main"),
        ("keras_logitkd.losses", "import zoo"),
    ],
)
def test_violations_are_seen(module, source):
    assert len(violations(source, module, is_package=module == "keras_logitkd")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_logitkd.distiller.model", "from keras_logitkd import losses, networks"),
        ("keras_logitkd.data.pipeline", "from . import views\nfrom ..losses import get"),
        ("keras_logitkd.runs.workspace", "from keras_logitkd import zoo\nimport tensorflow"),
        (
            "keras_logitkd.zoo.registry",
            "from keras_logitkd.networks.layers import X\nimport re, keras",
        ),
        ("keras_logitkd.zoo.torch_weights", "def f():\n    import torch\n    import tensorflow"),
        ("keras_logitkd.cli.main", "import keras_logitkd\nfrom keras_logitkd.runs import x"),
        ("keras_logitkd.cli.main", "from keras_logitkd import __version__"),
    ],
)
def test_allowed_imports_are_allowed(module, source):
    assert violations(source, module) == []


# Run before an import: any attempt to reach a network fails loudly.
NO_NETWORK = """
import socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("network at import")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def run(code):
    return subprocess.run([sys.executable, "-c", NO_NETWORK + code], capture_output=True, text=True)


def test_import_is_lazy():
    code = """
import keras_logitkd
heavy = {"tensorflow", "keras", "torch", "numpy"} & set(sys.modules)
print(sorted(heavy), "Distiller" in dir(keras_logitkd))
"""
    assert run(code).stdout == "[] True\n"


def test_every_public_name_loads_without_a_network():
    code = """
import keras_logitkd
for name in keras_logitkd.__all__:
    getattr(keras_logitkd, name)
print(keras_logitkd.Distiller.__name__, "torch" in sys.modules)
"""
    result = run(code)
    assert result.stdout == "Distiller False\n", result.stderr[-2000:]


def test_unknown_attribute():
    result = run("import keras_logitkd\nkeras_logitkd.Distillr")
    assert "AttributeError: module 'keras_logitkd' has no attribute 'Distillr'" in result.stderr


def test_modules_are_found_by_their_former_names():
    code = """
import sys
import keras_logitkd
from keras_logitkd import moved
import keras_logitkd.layers
from keras_logitkd.training.recipes import Recipe
from keras_logitkd.runs.spec import recipes
assert recipes.Recipe is Recipe
for former, name in moved.MOVED.items():
    __import__(f"keras_logitkd.{former}")
    __import__(f"keras_logitkd.{name}")
    assert sys.modules[f"keras_logitkd.{former}"] is sys.modules[f"keras_logitkd.{name}"], name
try:
    import keras_logitkd.training.devices
except ModuleNotFoundError as error:
    print(error)
"""
    result = run(code)
    assert result.stdout == "No module named 'keras_logitkd.training.devices'\n", result.stderr


def test_every_folder_with_code_is_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    installed = set(config["options"]["packages"].split())
    found = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in HOMES.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert found == installed
