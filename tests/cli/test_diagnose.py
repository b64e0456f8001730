import json

import pytest

pytestmark = pytest.mark.usefixtures("tiny_networks")

DISTILL = ("--student", "wrn-10-1", "--teacher", "own.keras", "--dataset", "npz:tiny.npz")


@pytest.fixture
def distilled(run_on_tiny, own_teacher, once):
    """The command line beside a run `mine`, whose teacher was never trained."""

    def fill():
        code, _, err = run_on_tiny("distill", *DISTILL, "--epochs", "1", "--name", "mine")
        assert code == 0, err

    once(fill)
    return run_on_tiny


def test_text_names_every_check_and_what_to_do(distilled):
    code, out, err = distilled("diagnose", "mine")
    assert (code, err) == (0, "")
    assert out.startswith("mine\ntest accuracy: student ")
    assert "hard labels -" in out
    assert out.count("\nOK: ") + out.count("\nWARNING: ") + out.count("\nPROBLEM: ") == 9
    assert "PROBLEM: The teacher's fit" in out
    assert "--loss kl --tau 0.5" in " ".join(out.split())


def test_json_and_a_path_say_the_same(distilled):
    code, out, _ = distilled("diagnose", "runs/mine", "--json")
    assert code == 0
    content = json.loads(out)
    assert content["test_accuracy"]["teacher"] < 0.9
    (fit,) = [f for f in content["findings"] if f["check"] == "teacher_fit"]
    assert (fit["status"], set(fit["numbers"])) == ("problem", {"train_accuracy", "test_accuracy"})


def test_what_cannot_be_diagnosed_is_one_line(distilled, tmp_path):
    train = ("train", "--model", "wrn-10-1", "--dataset", "npz:tiny.npz", "--epochs", "1")
    assert distilled(*train, "--name", "hard")[0] == 0
    (tmp_path / "runs" / "mine" / "result.json").unlink()
    for run, says in (
        ("hard", "trained on hard labels"),
        ("mine", "is not finished"),
        ("nobody", "Received: nobody"),
    ):
        code, out, err = distilled("diagnose", run)
        assert (code, out) == (2, "")
        assert says in err
        assert err.count("\n") == 1


@pytest.mark.slow
def test_run_with_a_feature_method_is_diagnosed_as_far_as_that_goes(run_on_tiny):
    train = ("--dataset", "npz:tiny.npz", "--epochs", "1")
    student = ("--student", "wrn-10-1", "--teacher", "wrn-10-1", "--teacher-epochs", "1")
    code, _, err = run_on_tiny("distill", *student, *train, "--loss", "fitnets", "--name", "mine")
    assert code == 0, err
    code, out, err = run_on_tiny("diagnose", "mine", "--json")
    assert (code, err) == (0, "")
    states = {f["check"]: f["status"] for f in json.loads(out)["findings"]}
    assert len(states) == 9
    unmeasured = {check for check, status in states.items() if status == "not measured"}
    assert unmeasured == {"gradient_dependence", "term_scale"}
    code, out, err = run_on_tiny("report", "mine")
    assert (code, err) == (0, "")
