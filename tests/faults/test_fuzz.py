"""Bad command lines, configs and files of runs: one line, a documented code, and no damage.

With LOGITKD_FAULTS=full there are 250 inputs of each kind, else 30.
"""

import hashlib
import itertools
import json
import os
import pathlib
import shutil

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 250 if os.environ.get("LOGITKD_FAULTS") == "full" else 30
FUZZED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
RUN = ("train", "--model", "wrn-10-1", "--dataset", "npz:tiny.npz", "--epochs", "1", "--name", "r")
WORDS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12
).filter(lambda word: word != "--debug")  # which asks for a traceback
NOT_A_MODEL = WORDS.map(lambda word: f"no{word}")
# An option and a value that it must not take; each makes the command line bad.
BAD = st.one_of(
    st.tuples(st.just("--epochs"), st.sampled_from(["0", "-1", "x", "1.5", "", "nan"])),
    st.tuples(st.just("--batch-size"), st.sampled_from(["0", "-3", "big", "1e3"])),
    st.tuples(st.just("--seed"), st.sampled_from(["-1", "a", "0.5"])),
    st.tuples(st.just("--views"), st.sampled_from(["0", "-1", "v"])),
    st.tuples(st.just("--checkpoint-steps"), st.sampled_from(["0", "-5", "often"])),
    st.tuples(st.just("--learning-rate"), st.sampled_from(["0", "-0.1", "nan", "inf", "x"])),
    st.tuples(st.just("--momentum"), st.sampled_from(["1", "-0.1", "nan"])),
    st.tuples(st.just("--lr-drops"), st.sampled_from(["0", "1", "0.5,2", "a,b", ","])),
    st.tuples(st.just("--validation"), st.sampled_from(["1", "-0.1", "nan", "all"])),
    st.tuples(st.just("--examples"), st.sampled_from(["0", "-4", "100000"])),
    st.tuples(st.just("--std"), st.sampled_from(["0", "-1", "1,2,3,4", "nan"])),
    st.tuples(st.just("--pad"), st.sampled_from(["-1", "x"])),
    st.tuples(st.just("--name"), WORDS.map(lambda word: f"../{word}")),
    st.tuples(st.just("--dataset"), WORDS.map(lambda word: f"npz:/none/{word}")),
    st.tuples(st.just("--dataset"), WORDS.map(lambda word: f"no such {word}")),
    st.tuples(st.just("--model"), NOT_A_MODEL),
    st.tuples(WORDS.map(lambda word: f"--x{word}"), WORDS),
)
BAD_DISTILLATION = st.one_of(
    BAD.filter(lambda pair: pair[0] != "--model"),
    st.tuples(st.just("--student"), NOT_A_MODEL),
    st.tuples(st.just("--teacher"), NOT_A_MODEL),
    st.tuples(st.just("--teacher"), st.just("none.keras")),
    st.tuples(st.just("--tau"), st.sampled_from(["-1", "nan", "hot", ""])),
    st.tuples(st.just("--alpha"), st.sampled_from(["-0.1", "1.1", "nan", "x"])),
    st.tuples(st.just("--cache-limit"), st.sampled_from(["-1", "x"])),
    st.tuples(st.just("--seeds"), st.sampled_from(["a", "-1", "1,,2", "0,0"])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture
def place(run_on_tiny, own_teacher, once):
    """Where there are tiny.npz, own.keras and a finished run `r`; gives how to run on it."""

    def fill():
        code, _, err = run_on_tiny(*RUN)
        assert code == 0, err

    once(fill)
    return run_on_tiny


def fingerprint(directory):
    """The names and contents of all files below a directory."""
    files = sorted(file for file in pathlib.Path(directory).rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


_inputs = itertools.count(1)


def bound_memory():
    """Frees what many commands in one process leave behind, seldom: it takes half a second."""
    if next(_inputs) % 25 == 0:
        keras.backend.clear_session()


def check(place, arguments, codes=(2,)):
    """Runs a bad input: its code, one line, and the finished run as it was."""
    bound_memory()
    before = fingerprint("runs/r")
    code, out, err = place(*arguments)
    assert code in codes, (code, err)
    assert "Traceback" not in err + out
    if code:
        assert len(err.strip().splitlines()) == 1, err
        assert err.startswith("logitkd: error: "), err
        assert "logitkd: error: unexpected" not in err, err
    assert fingerprint("runs/r") == before


def test_bad_command_lines(place):
    @FUZZED
    @given(bad=BAD, others=st.lists(BAD, max_size=2), resume=st.booleans())
    def fuzz(bad, others, resume):
        others = [part for pair in others for part in pair]
        check(place, [*RUN, *others, *bad, *(["--resume"] if resume else [])])

    fuzz()


def test_bad_distillations(place):
    base = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", *RUN[3:])

    @FUZZED
    @given(bad=BAD_DISTILLATION)
    def fuzz(bad):
        check(place, [*base, *bad])

    fuzz()


def test_words_instead_of_commands(place):
    commands = st.sampled_from(["train", "distill", "tune", "evaluate", "data", "cache", "report"])

    @FUZZED
    @given(
        command=commands | WORDS.map(lambda word: f"no{word}"), words=st.lists(WORDS, max_size=4)
    )
    def fuzz(command, words):
        check(place, [command, f"--{'x' * 3}", *words])

    fuzz()


def test_bad_config_files(place):
    options = st.dictionaries(
        st.sampled_from(["student", "teacher", "epochs", "tau", "alpha", "seed", "loss", "no"]),
        JSON,
        max_size=4,
    )
    config = JSON | st.fixed_dictionaries({"options": JSON | options})

    @FUZZED
    @given(content=config.map(json.dumps) | st.binary(max_size=60).map(lambda data: data.hex()))
    def fuzz(content):
        pathlib.Path("c.json").write_text(content)
        # A config that happens to be good still meets a teacher that is not there.
        check(place, ["distill", "--config", "c.json", "--teacher", "none.keras"])

    fuzz()


def damaged(data):
    """A file's bytes, damaged: cut, flipped, or with something else in them."""
    return st.one_of(
        st.integers(0, len(data) - 1).map(lambda end: data[:end]),
        st.tuples(st.integers(0, len(data) - 1), st.integers(1, 255)).map(
            lambda at: data[: at[0]] + bytes([data[at[0]] ^ at[1]]) + data[at[0] + 1 :]
        ),
        JSON.map(lambda content: json.dumps(content).encode()),
        st.binary(max_size=40),
    )


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_damaged_files_of_a_run(place, name):
    whole = pathlib.Path("runs/r", name).read_bytes()
    shutil.copytree("runs/r", "runs/broken")
    file = pathlib.Path("runs/broken", name)
    commands = [
        (["runs"], (0, 1, 2)),
        (["evaluate", "broken"], (0, 1, 2)),
        ([*RUN[:-1], "broken"], (0, 1, 2)),
    ]

    @FUZZED
    @given(content=damaged(whole), command=st.sampled_from(commands))
    def fuzz(content, command):
        file.write_bytes(content)
        check_quietly(place, *command)

    fuzz()


def check_quietly(place, arguments, codes):
    """As `check`, where a command may also succeed or report the damage on standard output."""
    bound_memory()
    before = fingerprint("runs/r")
    code, out, err = place(*arguments)
    assert code in codes, err
    assert "Traceback" not in err + out
    lines = [line for line in err.splitlines() if line.startswith("logitkd: ")]
    assert len(lines) == 1 if code == 2 else len(lines) <= 1, err
    assert lines or not code or "damaged" in out, out
    assert "logitkd: error: unexpected" not in err, err
    assert fingerprint("runs/r") == before


def test_damaged_manifests_of_stores(place):
    command = ("distill", "--student", "wrn-10-1", "--teacher", "own.keras", *RUN[3:-1], "d")
    code, _, err = place(*command)
    assert code == 0, err
    (manifest, *_) = sorted(pathlib.Path("runs/.logits").glob("*/manifest.json"))
    whole = manifest.read_bytes()

    @FUZZED
    @given(content=damaged(whole), command=st.sampled_from(["list", "verify", "show"]))
    def fuzz(content, command):
        manifest.write_bytes(content)
        arguments = ["cache", command]
        check_quietly(
            place, arguments + ([manifest.parent.name] if command == "show" else []), (0, 1, 2)
        )

    fuzz()
