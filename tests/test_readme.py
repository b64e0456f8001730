"""Every code block of the README is run; its commands, too, except the two that CI runs itself."""

import pathlib
import re
import shlex
import shutil

import pytest

from keras_logitkd.cli import main

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_code_and_commands_run_in_the_order_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for language, block in re.findall(r"```(python|sh)\n(.*?)```", README, flags=re.DOTALL):
        if language == "python":
            exec(block, namespace)  # noqa: S102
            continue
        for line in block.strip().splitlines():
            if line.startswith("logitkd ") and "fashion" not in line:
                with pytest.raises(SystemExit) as stop:
                    main.main(shlex.split(line)[1:])
                assert stop.value.code == 0, capsys.readouterr().err
    assert (tmp_path / "student.keras").is_file()
    assert (tmp_path / "runs" / "mine" / "student.keras").is_file()


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
