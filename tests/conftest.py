"""What every test starts from."""

import contextlib
import os
import shutil
import sys

import hypothesis
import numpy as np
import pytest
import tiny_zoo

# As the command line sets them: a process that a test starts computes the same bits, and may be
# a fork of one that has TensorFlow loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The first call of a test may compile; a shared machine may stall at any call.
hypothesis.settings.register_profile("undisturbed", deadline=None)
hypothesis.settings.load_profile("undisturbed")


# Files that take longest: one that begins last leaves the other processes idle.
_FIRST = (
    "faults/test_kill",
    "report/test_pages",
    "tests/test_readme",
    "cli/test_sweeps",
    "tuning/test_tuning",
    "faults/test_faults",
    "faults/test_two_writers",
    "features/test_runs",
)


def pytest_configure(config):
    """`--dist loadfile` keeps the order below, and does not begin with the many short tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Puts the files of `_FIRST` first."""

    def place(item):
        name = f"{item.path.parent.name}/{item.path.stem}"
        return _FIRST.index(name) if name in _FIRST else len(_FIRST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _keras_defaults():
    """Undoes a test's global Keras settings. Does not import Keras for tests that do not."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture
def tiny_networks(request):
    """The zoo's families have a single convolution: for tests whose subject is no network.

    Fixtures of a wider scope take `tiny_zoo.in_place()` themselves. Slow tests keep the zoo's own
    networks, which the processes that they start have, too.
    """
    with contextlib.nullcontext() if "slow" in request.keywords else tiny_zoo.in_place():
        yield


@pytest.fixture(scope="session")
def tiny_spec(tmp_path_factory):
    """An npz file of 60 training and 24 test images, 8x8x1, whose three classes differ."""
    rng = np.random.default_rng(0)

    def draw(count):
        labels = np.arange(count) % 3
        images = rng.integers(0, 60, (count, 8, 8, 1)) + 70 * labels[:, None, None, None]
        return images.astype(np.uint8), labels.astype(np.int64)

    x_train, y_train = draw(60)
    x_test, y_test = draw(24)
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return f"npz:{path}"


@pytest.fixture
def tiny(tiny_spec):
    """The dataset of `tiny_spec`."""
    from keras_logitkd.data import catalog

    return catalog.load(tiny_spec)


@pytest.fixture
def tiny_recipe():
    """Two short epochs."""
    from keras_logitkd.runs.spec.recipes import Recipe

    return Recipe(epochs=2, batch_size=16, learning_rate=0.05, pad=1, validation=0.2)


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs the command line; returns exit code, standard output and standard error."""

    from keras_logitkd.cli import main

    def run(*arguments):
        arguments = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["logitkd", *arguments])
        with pytest.raises(SystemExit) as stop:
            main.main(arguments)
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


@pytest.fixture
def run_on_tiny(run, tmp_path, monkeypatch, tiny_spec):
    """Runs the command line where tiny.npz lies."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_spec.removeprefix("npz:"), "tiny.npz")
    return run


@pytest.fixture
def own_teacher(run_on_tiny):
    """Puts own.keras beside tiny.npz, an untrained teacher for it."""
    import keras

    # The same in every test: one device and two agree to rounding, which grows with the logits.
    kernel = keras.initializers.GlorotUniform(seed=0)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    keras.Sequential([*layers, keras.layers.Dense(3, kernel_initializer=kernel)]).save("own.keras")


@pytest.fixture(scope="module")
def _kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "files"


@pytest.fixture
def once(run_on_tiny, tmp_path, _kept):
    """Calls what fills the working directory for a module's first test; others get its files."""

    def once(fill):
        if _kept.exists():
            shutil.copytree(_kept, tmp_path, dirs_exist_ok=True)
        else:
            fill()
            shutil.copytree(tmp_path, _kept)

    return once
