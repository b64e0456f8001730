"""Every code block of the README is run; its commands, too, except the two that CI runs itself."""

import pathlib
import re
import shlex
import shutil

import pytest

from keras_logitkd.cli import main

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")


def blocks(language):
    return [block for found, block in BLOCK.findall(README) if found == language]


def sections():
    """Text by heading, in the order of the page."""
    _, *parts = re.split(r"^#+ (.*)\n", README, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Where somebody reads the page: the directory, and the names that the code has made."""
    return tmp_path_factory.mktemp("reader"), {}


# In one process and in this order: a section uses what those before it have left.
@pytest.mark.usefixtures("tiny_networks")
@pytest.mark.parametrize("heading", sections())
def test_code_and_commands_of_a_section_run(heading, reader, monkeypatch, capsys):
    place, namespace = reader
    monkeypatch.chdir(place)
    for language, block in BLOCK.findall(sections()[heading]):
        if language == "python":
            exec(block, namespace)  # noqa: S102
            continue
        for line in block.strip().splitlines():
            if line.startswith("logitkd ") and "fashion" not in line:
                with pytest.raises(SystemExit) as stop:
                    main.main(shlex.split(line)[1:])
                assert stop.value.code == 0, capsys.readouterr().err


def test_the_page_leaves_its_students(reader):
    place, _ = reader
    assert (place / "student.keras").is_file()
    assert (place / "runs" / "mine" / "student.keras").is_file()


def test_headline_prints_what_the_page_says(capsys):
    exec(blocks("python")[0], {})  # noqa: S102
    printed = [
        float(number) for number in re.findall(r"tf\.Tensor\(([\d.]+),", capsys.readouterr().out)
    ]
    claimed = re.search(r"prints ([\d.]+), `LogitKL` ([\d.]+)", README).groups()
    assert printed == pytest.approx([float(number) for number in claimed], abs=5e-4)


def test_commands_of_ci_are_there_once():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert len(commands) == 2
    assert "logitkd distill --student wrn-16-2 --loss mse" in commands[0]
    assert "pytest" in commands[1]


@pytest.mark.slow
@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    (block,) = [text for text in blocks("sh") if "fashion" in text]
    importing, distilling = block.strip().splitlines()
    quick = " --epochs 1 --teacher-epochs 1 --teacher wrn-10-1 --validation 0.97"
    for line in (importing, distilling + quick):
        with pytest.raises(SystemExit) as stop:
            main.main(shlex.split(line)[1:])
        assert stop.value.code == 0, capsys.readouterr().err
    shutil.rmtree(tmp_path / "data")
