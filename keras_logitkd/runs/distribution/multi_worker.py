"""Training under a strategy: what Keras 3 cannot do by itself, and what workers tell each other.

`keras.Model.fit` fails under `tf.distribute.MultiWorkerMirroredStrategy`
(https://github.com/keras-team/keras/issues/20585). Before the first step Keras 3.15 averages a
batch over the replicas, only to see its shapes: that fails for the integers in it, and also under
`MirroredStrategy` where the parts of a batch differ. It reduces each metric of a step over an axis
that a scalar does not have. `make_fittable` goes around both, and
tests/training/test_multi_worker.py tells when that is not needed any more.
"""

import contextlib
import json
import signal
import threading

import numpy as np
import tensorflow as tf

from keras_logitkd.processes.cluster import WorkerLostError
from keras_logitkd.runs import faults

_JOIN_SECONDS = 300
_HEARTBEAT_SECONDS = 20  # after which a worker that says nothing is taken for dead
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def join(workers):
    """Waits for the workers that TF_CONFIG names; returns a `MultiWorkerMirroredStrategy`.

    Raises:
        WorkerLostError: If they do not come within five minutes.
        ValueError: If TensorFlow is in use already.
    """
    with lost_workers():
        try:
            _limit_waiting()
            with _own_sigterm():
                return tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise ValueError(
                f"{workers} workers must be joined before TensorFlow is used: {error}"
            ) from error


@contextlib.contextmanager
def _own_sigterm():
    """Keeps Python's handler of SIGTERM where TensorFlow puts its own in its place, unasked."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _limit_waiting():
    """Sets the timeouts of TensorFlow's coordination service, which has no public setting."""
    from tensorflow.python.eager import context as eager_context

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    jobs = resolver.cluster_spec().as_dict()
    leader = "/job:chief/replica:0/task:0" if "chief" in jobs else "/job:worker/replica:0/task:0"
    config = eager_context.coordination_config_pb2
    eager_context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=leader,
        cluster_register_timeout_in_ms=1000 * _JOIN_SECONDS,
        heartbeat_timeout_in_ms=1000 * _HEARTBEAT_SECONDS,
        coordinated_jobs=[
            config.CoordinatedJob(name=job, num_tasks=len(tasks)) for job, tasks in jobs.items()
        ],
    )


@contextlib.contextmanager
def lost_workers():
    """Turns the errors by which TensorFlow tells of a dead worker into a `WorkerLostError`."""
    try:
        yield
    except _LOST as error:
        if faults.lack_of_memory(error):  # oneDNN's is an AbortedError, too
            raise
        reason = error.message.strip().splitlines()[0]
        raise WorkerLostError(
            "Another worker is gone; run all of them again with --resume to go on "
            f"({type(error).__name__}: {reason[:200]})"
        ) from error


def make_fittable(distiller):
    """Changes a `Distiller` to `fit` and `evaluate` under the strategy that it was compiled in."""
    metrics = distiller._compile_metrics
    if metrics is not None and not metrics.built:
        logits = tf.zeros((1, *distiller.student.output_shape[1:]))
        with distiller.distribute_strategy.scope():
            metrics.build(tf.zeros(1, tf.int32), logits)
    distiller._maybe_symbolic_build = lambda iterator=None, data_batch=None: None
    if not isinstance(distiller.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    train_step, test_step = distiller.train_step, distiller.test_step

    def with_an_axis(logs):
        return tf.nest.map_structure(lambda value: tf.reshape(value, (1,)), logs)

    distiller.train_step = lambda data: with_an_axis(train_step(data))
    distiller.test_step = lambda data: with_an_axis(test_step(data))


class Channel:
    """What workers tell each other, by sums over all of them: every worker must make every call.

    It takes their multi-worker strategy and the `Task` of this one.
    """

    def __init__(self, strategy, task):
        self._strategy = strategy
        self._task = task

    def from_chief(self, value=None):
        """Returns the chief's value, anything that JSON can say; the others' is not looked at."""
        text = json.dumps(value).encode() if self._task.rank == 0 else b""
        size = int(self._sum([len(text)])[0])
        letters = self._sum(list(text.ljust(size, b"\0")))
        return json.loads(bytes(map(int, letters)))

    def from_all(self, digest):
        """Returns the digests (bytes of one length) of all workers, by rank."""
        table = np.zeros((self._task.workers, len(digest)))
        table[self._task.rank] = list(digest)
        return [bytes(map(int, row)) for row in self._sum(table)]

    def _sum(self, values):
        """Sums an array of small integers over the workers."""
        devices = self._strategy.num_replicas_in_sync // self._task.workers

        def own(values):
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group % devices, 0)
            return context.all_reduce("SUM", values * tf.cast(is_first, values.dtype))

        with lost_workers():
            values = tf.constant(values, tf.float32)
            sums = self._strategy.run(own, args=(values,))
            return self._strategy.experimental_local_results(sums)[0].numpy()
