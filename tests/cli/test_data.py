"""`logitkd data`, run as a user runs it."""

import json
import subprocess
import sys

import messy_folder
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from keras_logitkd.cli.data import data
from keras_logitkd.storage.errors import DataError


def run(*arguments, **settings):
    return CliRunner().invoke(data, [str(argument) for argument in arguments], **settings)


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "my data.npz"
    images = np.zeros((40, 5, 4), np.uint8)
    images[::2] = 255
    np.savez(path, images=images, labels=np.arange(40) % 2)
    return path


def test_list_names_what_is_there(tmp_path, npz):
    assert (
        run("import", npz, "--format", "npz", "--name", "mine", "--data-dir", tmp_path).exit_code
        == 0
    )
    result = run("list", "--data-dir", tmp_path, "--json")
    assert result.exit_code == 0
    rows = {row["name"]: row for row in json.loads(result.output)["datasets"]}
    assert rows["digits"]["splits"] == {"train": 1438, "test": 359}
    assert rows["mine:1.0.0"]["splits"] == {"train": 32, "test": 8}
    assert "cifar100" in rows
    table = run("list", "--data-dir", tmp_path).output
    assert "mine:1.0.0" in table
    assert "prepared" in table


def test_show_counts_and_draws(tmp_path, npz):
    target = tmp_path / "sheet.png"
    result = run("show", f"npz:{npz}", "--output", target, "--json")
    assert result.exit_code == 0
    shown = json.loads(result.output)
    assert (shown["train"], shown["test"], shown["image_shape"]) == (32, 8, [5, 4, 1])
    assert shown["classes"] == [
        {"name": "0", "train": 16, "test": 4},
        {"name": "1", "train": 16, "test": 4},
    ]
    assert shown["mean"] == [127.5]
    assert shown["std"] == [127.5]
    assert shown["contact_sheet"] == str(target)
    pixels = np.asarray(Image.open(target).convert("L"))
    assert pixels.shape == (2 * 60 + 4, pixels.shape[1])
    assert np.mean(pixels[20:40, -40:] == 255) > 0.5  # a row of white images
    assert np.mean(pixels[80:100, -40:] == 0) > 0.4  # a row of black ones


def test_show_writes_into_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("show", "digits", "--rows", 3)
    assert result.exit_code == 0
    assert "digits-contact-sheet.png" in result.output
    assert "1,438" in result.output
    assert "7 more classes" in result.output
    assert Image.open("digits-contact-sheet.png").height == 3 * 60 + 4


def test_import_says_what_it_did(tmp_path, npz):
    command = ("import", npz, "--format", "npz", "--name", "mine", "--data-dir", tmp_path)
    result = run(*command)
    assert "32 training and 8 test images, 2 classes" in result.output
    assert isinstance(run(*command).exception, DataError)
    assert run(*command, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "digitz"),
        ("show", "npz:/no/such.npz"),
        ("import", "/no/such", "--format", "idx", "--name", "mine"),
        ("import", "/no/such", "--format", "cifar", "--name", "mine"),
        ("import", "/no/such", "--format", "npz", "--name", "../x"),
    ],
)
def test_bad_data_is_a_data_error(tmp_path, arguments):
    result = run(*arguments, "--data-dir", tmp_path / "store")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "digits", "--output", "sheet.gif"), "must end in .png"),
        (("show", "digits", "--output", "/no/such/sheet.png"), "no such directory"),
        (("show", "digits", "--rows", "0"), "--rows"),
        (("import", "x", "--format", "zip", "--name", "mine"), "--format"),
        (("import", "x", "--format", "idx"), "--name"),
    ],
)
def test_bad_options_are_usage_errors(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_the_module_imports_nothing_slow():
    heavy = ("tensorflow", "keras", "rich", "PIL", "pandas")
    code = f"import sys, keras_logitkd.cli.data; sys.exit(any(n in sys.modules for n in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def messy(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    messy_folder.write(tmp_path / "photos")
    return tmp_path / "photos"


def test_check_of_a_sound_dataset_ends_well(messy):
    result = run("check", f"folder:{messy}")
    assert result.exit_code == 0
    assert "Unreadable files: 0" in result.output
    assert "äpfel" in result.output
    assert "13" in result.output


def test_check_lists_what_is_unreadable_and_says_so_to_scripts(messy):
    damaged = messy_folder.damage(messy)
    result = run("check", f"folder:{messy}", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [entry["file"] for entry in found["unreadable"]] == damaged
    assert (found["name"], found["parts"]["train"]) == (f"folder:{messy}", 13)
    assert all(name in run("check", f"folder:{messy}").output for name in damaged)


def test_check_works_on_arrays(npz):
    result = run("check", f"npz:{npz}", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [sorted(group["parts"]) for group in found["duplicates"]] == [["test", "train"]] * 2


def test_show_has_a_validation_part(messy, tmp_path):
    result = run("show", f"folder:{messy}", "--json", "--output", tmp_path / "sheet.png")
    shown = json.loads(result.stdout)
    assert (shown["train"], shown["validation"], shown["test"]) == (13, 2, 2)
    assert shown["classes"][1] == {"name": "猫", "train": 7, "validation": 1, "test": 1}
    table = run("show", f"folder:{messy}", "--output", tmp_path / "sheet.png").output
    assert "validation" in table


def test_a_validation_part_is_imported_as_training_and_said(messy, tmp_path, caplog):
    command = ("import", messy, "--format", "folder", "--name", "mine", "--data-dir", tmp_path)
    result = run(*command)
    assert "15 training and 2 test images, 2 classes" in result.output
    assert any("its 2 images become part of the training split" in line for line in caplog.messages)
