"""Imports run one way, and importing the package is cheap. See DESIGN.md, "Layout"."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Where each part of the package lies, and by which name it is imported.
HOMES = {"keras_logitkd": "keras_logitkd", "zoo": "keras_logitkd.zoo", "cli": "keras_logitkd.cli"}
CORE = {
    "batch",
    "class_weight",
    "compatibility",
    "data",
    "distiller",
    "divergence",
    "epochs",
    "features",
    "inference",
    "layers",
    "logit_store",
    "logits",
    "losses",
    "replicas",
}
LAB = {"training", "tuning", "experiments", "analysis", "html_report"}
MAY_IMPORT = {
    "core": {"core"},
    "lab": {"core", "lab", "zoo"},
    "zoo": {"zoo", "layers"},
    "cli": {"core", "lab", "zoo", "cli", "root"},
    "root": {"core", "lab", "zoo"},
}
ZOO_OUTSIDE = {"keras", "numpy", *sys.stdlib_module_names}
ZOO_LAZY = {"tensorflow", "torch"}


def part_of(module):
    """The part of the package that a dotted module name belongs to."""
    names = module.split(".")[1:]
    if not names or names[0].startswith("__"):
        return "root"
    if names[0] in ("zoo", "cli"):
        return names[0]
    return "core" if names[0] in CORE else "lab" if names[0] in LAB else f"unknown {names[0]}"


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
    part, found = part_of(module), []
    for name, line, is_top in imports_of(source, module, is_package):
        root = name.partition(".")[0]
        if root == "keras_logitkd":
            target = part_of(name)
            is_layers = name.startswith("keras_logitkd.layers")
            allowed = target in MAY_IMPORT[part] or (is_layers and "layers" in MAY_IMPORT[part])
        elif root in ("zoo", "cli"):
            allowed = False
        elif part == "zoo":
            allowed = root in ZOO_OUTSIDE or (root in ZOO_LAZY and not is_top)
        else:
            allowed = True
        if not allowed:
            found.append(f"{module}:{line} imports {name}")
    return found


def sources():
    for folder, package in HOMES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            names = path.relative_to(ROOT / folder).with_suffix("").parts
            is_package = names[-1] == "__init__"
            module = ".".join([package, *(names[:-1] if is_package else names)])
            yield pytest.param(path, module, is_package, id=module)


@pytest.mark.parametrize(("path", "module", "is_package"), list(sources()))
def test_imports_run_one_way(path, module, is_package):
    assert part_of(module) in MAY_IMPORT, f"{module} belongs to no part of the design"
    assert violations(path.read_text(), module, is_package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("keras_logitkd.losses", "from keras_logitkd import zoo"),
        ("keras_logitkd.losses", "def f():\n    import keras_logitkd.cli.main"),
        ("keras_logitkd.data.pipeline", "from keras_logitkd.training import fit"),
        ("keras_logitkd.data.pipeline", "from ..training.fit import run"),
        ("keras_logitkd.data.pipeline", "from .. import tuning"),
        ("keras_logitkd.training.fit", "from keras_logitkd.cli import main"),
        ("keras_logitkd.zoo.registry", "from keras_logitkd import losses"),
        ("keras_logitkd.zoo.registry", "from keras_logitkd.training.recipes import x"),
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
        ("keras_logitkd.distiller", "from keras_logitkd import losses, logits"),
        ("keras_logitkd.data.pipeline", "from . import augment\nfrom ..losses import get"),
        ("keras_logitkd.training.fit", "from keras_logitkd import zoo\nimport tensorflow"),
        ("keras_logitkd.zoo.registry", "from keras_logitkd.layers import X\nimport re, keras"),
        ("keras_logitkd.zoo.torch_weights", "def f():\n    import torch\n    import tensorflow"),
        ("keras_logitkd.cli.main", "import keras_logitkd\nfrom keras_logitkd.training import fit"),
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
