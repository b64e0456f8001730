"""`logitkd zoo`: the table at once, and networks on demand."""

import json
import resource
import subprocess
import sys

from keras_logitkd import zoo


def test_all_models_are_listed_at_once_without_tensorflow():
    script = (
        "import sys\n"
        "from keras_logitkd.cli import main\n"
        "try:\n"
        "    main.main(['zoo', '--json'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)\n"
    )
    times = []  # of the processor, which other processes do not lengthen
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert [row["name"] for row in json.loads(done.stdout)] == list(zoo.list_models())
    assert min(times) < 1


def test_table_has_families_and_numbers(run):
    code, out, _ = run("zoo", "wrn-16-2", "resnet-50")
    assert code == 0
    header, first, second = (line.split() for line in out.splitlines())
    assert header == ["name", "family", "input", "classes", "parameters", "MFLOPs"]
    assert first == ["wrn-16-2", "wide_resnet", "32x32x3", "100", "703,284", "202.2"]
    assert second == ["resnet-50", "imagenet_resnet", "224x224x3", "1000", "25,557,032", "8,178.4"]


def test_other_sizes_are_counted(run):
    code, out, err = run("zoo", "wrn-10-1", "--classes", "10", "--channels", "1", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    # 90 fewer rows of 64 weights and a bias, and two input channels of 3x3x16 fewer.
    assert row["parameters"] == 83_700 - 90 * 65 - 2 * 9 * 16
    assert (row["input_shape"], row["classes"]) == ([32, 32, 1], 10)


def test_networks_of_keras_are_listed_and_counted_on_demand(run):
    _, out, _ = run("zoo")
    assert "MobileNetV3Small (224)" in out
    assert "EfficientNetB7 (600)" in out
    code, out, err = run("zoo", "keras:MobileNetV2", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    # Keras's page of applications has 3.5 M parameters, the paper 300 M multiply-adds.
    assert row["parameters"] == 3_504_872
    assert 2 * 295e6 < row["flops"] < 2 * 315e6
    assert row["input_shape"] == [224, 224, 3]
