import json
import pathlib

import pytest

QUICK = ("--epochs", "2", "--batch-size", "256", "--views", "1", "--teacher", "t.keras")


pytestmark = pytest.mark.usefixtures("small_teacher", "tiny_networks")


def test_computed_ahead_of_time_listed_used_verified_and_pruned(run):
    code, out, err = run("cache", *QUICK, "--json")
    assert code == 0, err
    (row,) = json.loads(out)
    assert (row["views"], row["split"], row["dtype"]) == (1, "train", "float32")
    files = {file: file.stat().st_mtime_ns for file in pathlib.Path("runs/.logits").rglob("*.npy")}
    code, _, err = run("distill", "--student", "wrn-10-1", *QUICK)
    assert code == 0, err
    assert files == {file: file.stat().st_mtime_ns for file in files}
    _, out, _ = run("cache", "list", "--json")
    assert [each["split"] for each in json.loads(out)].count("train") == 2
    _, out, _ = run("cache", "show", row["store"])
    assert json.loads(out)["views"] == [0]
    assert run("cache", "verify")[0] == 0
    view = pathlib.Path("runs/.logits", row["store"], "view-00000.npy")
    view.write_bytes(view.read_bytes()[:-1])
    code, out, _ = run("cache", "verify")
    assert code == 1
    assert "View 0 of" in out
    assert run("cache", "prune", row["store"])[0] == 0
    assert not view.parent.exists()
    run("cache", "prune", "--all")
    assert "No stored logits" in run("cache", "list")[1]


def test_no_cache_stores_nothing(run):
    code, _, err = run("distill", "--student", "wrn-10-1", *QUICK, "--no-cache")
    assert code == 0, err
    assert not pathlib.Path("runs/.logits").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("cache", *QUICK, "--no-cache"), ("--no-cache",)),
        (("cache", *QUICK, "--cache-limit", "0.00001"), ("--cache-limit", "1e-05 GB")),
        (("cache", *QUICK, "--cache-limit", "-1"), ("--cache-limit", "-1")),
        (("cache", *QUICK, "--logit-dtype", "float64"), ("float64", "float32", "float16")),
        (("cache", "show", "abc"), ("'abc'", "there is none")),
        (("cache", "prune"), ("--all",)),
        (("cache", *QUICK, "--cache-dir", "t.keras"), ("t.keras",)),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, parts):
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("logitkd: error: ")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err
