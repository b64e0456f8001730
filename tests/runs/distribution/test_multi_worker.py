"""Two worker processes on this machine, and what Keras cannot do under their strategy."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_logitkd.processes import cluster, launcher
from keras_logitkd.runs.distribution import multi_worker

COMMAND = "from keras_logitkd.cli.main import main; main()"
SMALL = ("--student", "wrn-10-1", "--teacher", "own.keras", "--dataset", "npz:tiny.npz")
LOSS = ("--loss", "kl", "--alpha", "0.7")
RECIPE = ("--epochs", "2", "--batch-size", "15", "--learning-rate", "0.005", "--validation", "0.2")

ISSUE = "https://github.com/keras-team/keras/issues/20585"
# Plain Keras, nothing of ours.
UPSTREAM = """
import os
import keras, numpy as np, tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss=loss, metrics=["accuracy"])
x, y = np.ones((8, 4), "float32"), np.arange(8) % 3
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
try:
    model.fit(data.with_options(options), verbose=0)
    print("OUTCOME fits", flush=True)
except Exception as error:
    print("OUTCOME", type(error).__name__, " ".join(str(error).split())[:300], flush=True)
os._exit(0)  # the other one may have ended
"""


def read(run):
    import keras

    network = keras.saving.load_model(run / "student.keras")
    return {
        "config": json.loads((run / "config.json").read_text()),
        "result": json.loads((run / "result.json").read_text()),
        "metrics": np.loadtxt(run / "metrics.csv", delimiter=",", skiprows=1),
        "weights": np.concatenate([np.ravel(weight) for weight in network.get_weights()]),
    }


def logitkd(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **environment},
    )


def distil(*arguments, **environment):
    done = logitkd("distill", *SMALL, *LOSS, *RECIPE, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done


def check_same(one, two, tolerance=1e-5):
    np.testing.assert_allclose(two["metrics"], one["metrics"], rtol=tolerance)
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=0, atol=tolerance)
    assert two["result"]["test_accuracy"] == one["result"]["test_accuracy"]
    first, second = two["result"]["worker_digests"]
    assert first == second


@pytest.mark.slow  # tests/test_readme.py runs two workers each time
@pytest.mark.usefixtures("own_teacher")
def test_two_workers_train_as_one_device(tmp_path):
    done = distil("--workers", "2", "--sync-batch-norm", "--runs-dir", "two", "--name", "run")
    distil("--runs-dir", "one", "--name", "run")
    one, two = read(tmp_path / "one" / "run"), read(tmp_path / "two" / "run")
    check_same(one, two)
    record = {"devices": "2 workers, auto, 2 devices, sync batch norm"}
    assert two["config"] == {**one["config"], **record}
    assert done.stdout.count("student saved as") == 1  # the chief's alone
    assert done.stderr.count("epoch 2/2") == 1
    # A run of the same name is found by all of them.
    again = distil("--workers", "2", "--sync-batch-norm", "--runs-dir", "two", "--name", "run")
    assert "finished already" in again.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("own_teacher")
def test_teacher_by_name_and_teacher_in_the_step(tmp_path):
    several = ("--workers", "2", "--sync-batch-norm")
    teacher = ("--teacher", "wrn-10-1", "--teacher-epochs", "1")
    for name, extra in (("by-name", teacher), ("online", ("--no-cache",))):
        distil(*several, *extra, "--runs-dir", "two", "--name", name)
        distil(*extra, "--runs-dir", "one", "--name", name)
        check_same(read(tmp_path / "one" / name), read(tmp_path / "two" / name), 1e-4)


@pytest.mark.slow
def test_keras_alone_still_fails_under_several_workers():
    """Once this fails, `make_fittable` may go: see the issue named in multi_worker.py."""
    ports = launcher.free_ports(2)
    workers = [f"127.0.0.1:{port}" for port in ports]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", UPSTREAM],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
            )
        )
    outcomes = [process.communicate(timeout=300)[0] for process in processes]
    assert "OUTCOME" in outcomes[0]
    assert "OUTCOME fits" not in outcomes[0], f"{ISSUE} is fixed"


class Together(multi_worker.Channel):
    """A `Channel` between threads."""

    parts, barrier = {}, threading.Barrier(3)

    def _sum(self, values):
        self.parts[self._task.rank] = np.asarray(values, np.float32)
        self.barrier.wait()
        total = sum(self.parts[rank] for rank in range(3))
        self.barrier.wait()
        return total


def test_all_workers_hear_the_chief_and_each_other():
    def talk(rank):
        channel = Together(None, cluster.Task(rank, 3))
        said = channel.from_chief(["épochs", {"from": rank}])
        return said, channel.from_all(bytes([rank, 255, 7 * rank]))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        heard = list(pool.map(talk, range(3)))
    everyone = [bytes([0, 255, 0]), bytes([1, 255, 7]), bytes([2, 255, 14])]
    assert heard == [(["épochs", {"from": 0}], everyone)] * 3


CHIEF_AND_WORKER = {"chief": ["c:1"], "worker": ["a:1"]}


def set_task(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv(cluster.VARIABLE, text)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, None),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, (1, 2)),
        ({"cluster": CHIEF_AND_WORKER, "task": {"type": "chief", "index": 0}}, (0, 2)),
        ({"cluster": CHIEF_AND_WORKER, "task": {"type": "worker", "index": 0}}, (1, 2)),
    ],
)
def test_task_of_tf_config(monkeypatch, config, expected):
    set_task(monkeypatch, config)
    assert cluster.task() == expected


def test_slurm_script_of_the_docs_makes_a_tf_config(monkeypatch):
    page = (pathlib.Path(__file__).parents[3] / "docs" / "distributed.md").read_text()
    script = page.partition("SLURM, one task a node")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace("logitkd distill", "printenv TF_CONFIG #")
    tools = 'scontrol() { printf "a\\nb\\n"; }; srun() { shift; "$@"; }\n'
    said = subprocess.run(
        ["bash", "-euc", tools + script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SLURM_PROCID": "1", "SLURM_JOB_NODELIST": "[a-b]"},
    )
    set_task(monkeypatch, said.stdout)
    assert json.loads(said.stdout)["cluster"] == {"worker": ["a:12345", "b:12345"]}
    assert cluster.task() == (1, 2)


def test_without_tf_config_a_process_trains_alone(monkeypatch):
    monkeypatch.delenv(cluster.VARIABLE, raising=False)
    assert cluster.task() is None


@pytest.mark.parametrize(
    "config",
    [
        "not json",
        "[]",
        {"cluster": {"worker": ["a:1", "b:1"]}},
        {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}},
        {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "x"}},
        {"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}},
        {"cluster": ["a:1"], "task": {"type": "worker", "index": 0}},
    ],
)
def test_wrong_tf_config_is_bad_input(monkeypatch, config):
    set_task(monkeypatch, config)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON with a cluster of chief and"):
        cluster.task()


@pytest.mark.parametrize("command", ["tune", "cache"])
def test_other_commands_refuse_several_machines(run_on_tiny, monkeypatch, command):
    set_task(monkeypatch, {"cluster": CHIEF_AND_WORKER, "task": {"type": "chief", "index": 0}})
    arguments = ("--student", "wrn-10-1") if command == "tune" else ()
    code, _, error = run_on_tiny(command, *arguments, "--dataset", "npz:tiny.npz")
    assert code == 2
    assert "only train and distill run on several. Unset TF_CONFIG" in error


def test_workers_and_tf_config_must_agree(run_on_tiny, monkeypatch):
    set_task(monkeypatch, {"cluster": CHIEF_AND_WORKER, "task": {"type": "chief", "index": 0}})
    code, _, error = run_on_tiny("train", "--model", "wrn-10-1", "--workers", "3")
    assert code == 2
    assert "'--workers' is 3, but TF_CONFIG names 2" in error


@pytest.mark.parametrize("value", ["tpu", "cpu:0", "gpu"])
def test_wrong_devices_are_one_line(run_on_tiny, value):
    code, _, error = run_on_tiny("train", "--model", "wrn-10-1", "--devices", value)
    assert code == 2
    assert "devices" in error.splitlines()[-1]


def test_worker_that_fails_ends_the_others():
    script = "import os, time; time.sleep(9 * ('0}' in os.environ['TF_CONFIG'][-3:])); 1 / 0"
    with pytest.raises(
        cluster.WorkerLostError, match="Worker 1 of 2 ended with exit code 1.*ZeroDivisionError"
    ):
        cluster.launch([sys.executable, "-c", script], 2)


def test_exit_code_of_the_chief():
    assert cluster.launch([sys.executable, "-c", "import sys; sys.exit(3)"], 1) == 3
