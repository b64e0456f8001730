"""Where a network is trained: on one device, several of this machine, or several machines."""

import contextlib
import dataclasses
import functools
import math

import keras
import tensorflow as tf

from keras_logitkd.data import shares
from keras_logitkd.networks.layers import FusedBatchNormalization
from keras_logitkd.processes import cluster
from keras_logitkd.runs.checkpointing.checkpointer import (
    Checkpointer,
    ChiefCheckpointer,
    FollowingCheckpointer,
)
from keras_logitkd.runs.distribution import multi_worker
from keras_logitkd.storage import hashing


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices that share each batch of a training.

    Each takes an equal part of the batch and holds all variables; losses and gradients are those
    of the whole batch, as `keras_logitkd.networks.replicas` says. On one device there is no
    strategy and everything is as it would be without this class. `open_devices` makes one.

    Args:
        spec: as `--devices` has it. Defaults to `"auto"`.
        sync_batch_norm: whether batch normalization sees the whole batch. Defaults to False: each
            device normalizes its part by itself.
        strategy: a `tf.distribute.Strategy`. Defaults to None: one device.
        task: the `Task` of this process. Defaults to None: it trains alone.
    """

    spec: str = "auto"
    sync_batch_norm: bool = False
    strategy: object = dataclasses.field(default=None, compare=False)
    task: cluster.Task | None = None

    @property
    def is_chief(self):
        """Whether this process writes what comes out."""
        return self.task is None or self.task.rank == 0

    @property
    def count(self):
        """Number of devices, of all machines together."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def batch_norm_parts(self):
        """Parts of a batch whose batch normalization is apart."""
        return 1 if self.sync_batch_norm else self.count

    @property
    def label(self):
        """What the record of a run says, such as `cpu:2`; None where nothing was asked for."""
        if self.strategy is None:
            return None if self.spec == "auto" else self.spec
        workers = f"{self.task.workers} workers, " if self.task else ""
        synchronized = ", sync batch norm" if self.sync_batch_norm else ""
        return f"{workers}{self.spec}, {self.count} devices{synchronized}"

    def scope(self):
        """Returns a context in which variables are made on all devices."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def place(self, make):
        """Returns the network that a function without arguments makes, on all devices."""
        with self.scope():
            network = make()
        _synchronize(network, self.count > 1 and self.sync_batch_norm)
        return network

    def single(self, network):
        """Returns a network with the same weights on one device, or itself if it is on one."""
        if self.strategy is None:
            return network
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        _synchronize(copy, False)
        return copy

    def prepare(self, distiller):
        """Makes `fit` work for a `Distiller` that was compiled in this scope."""
        if self.strategy is not None:
            multi_worker.make_fittable(distiller)

    def batches(self, make):
        """Returns what `fit` takes, a dataset that is cut into a part for each device.

        Args:
            make: function from a `shares.Share`, or None for all of each batch, to a dataset; it
                may return None.
        """
        dataset = make(self._share)
        if self.strategy is None or dataset is None:
            return dataset
        return self.strategy.distribute_datasets_from_function(lambda context: dataset)

    @property
    def _share(self):
        """What this process reads of each batch."""
        if self.strategy is None:
            return None
        own = self.count // (self.task.workers if self.task else 1)
        first = own * (self.task.rank if self.task else 0)
        return shares.Share(first, first + own, self.count)

    def check(self, recipe):
        """Raises ValueError where a batch has fewer examples than there are devices."""
        if recipe.batch_size < self.count:
            raise ValueError(
                f"`batch_size` must be at least 1 for each of {self.count} devices. "
                f"Received: batch_size={recipe.batch_size}"
            )

    def checkpointer(self, directory, steps=None):
        """Returns the `Checkpointer` of this process; several machines cannot go by time."""
        if self.task is None:
            return Checkpointer(directory, steps)
        steps = math.inf if steps is None else steps
        return (ChiefCheckpointer if self.is_chief else FollowingCheckpointer)(directory, steps)

    def from_chief(self, value=None):
        """Returns the chief's value; every worker must call this, and waits for the chief."""
        return value if self.task is None else self._channel().from_chief(value)

    @contextlib.contextmanager
    def chief_first(self):
        """Lets the chief do something, and then the others."""
        if not self.is_chief:
            self.from_chief()
        yield
        if self.is_chief:
            self.from_chief()

    def digests(self, network):
        """Returns the sha256 (hex) of each worker's weights by rank, or RuntimeError."""
        digest = hashing.of(*(weight.tobytes() for weight in network.get_weights()))
        found = [each.hex() for each in self._channel().from_all(bytes.fromhex(digest))]
        if len(set(found)) > 1:
            raise RuntimeError(f"The workers ended with different weights: {', '.join(found)}")
        return found

    def watched(self):
        """Returns a context that says in one line that another worker was lost."""
        if self.task is None:
            return contextlib.nullcontext()
        return multi_worker.lost_workers()

    def _channel(self):
        return multi_worker.Channel(self.strategy, self.task)


ONE_DEVICE = Devices()


def open_devices(spec="auto", sync_batch_norm=False):
    """Returns the `Devices` of this process; must be called before TensorFlow computes anything.

    Args:
        spec: `"auto"`, the first GPU if there is one or else the CPU; `"cpu"`; `"cpu:N"`, the CPU
            as N devices; `"gpu"`, all GPUs; `"gpu:I,J"`, some of them. Where TF_CONFIG names
            several workers, these are the devices of this one.
        sync_batch_norm: as for `Devices`.

    Raises:
        ValueError: If there are no such devices, or TensorFlow is in use already.
        WorkerLostError: If other workers do not come.
    """
    cluster.check_devices(spec)
    kind, _, which = spec.partition(":")
    task = cluster.task()
    if task and kind == "cpu" and which not in ("", "1"):
        raise ValueError(
            f"Each of {task.workers} workers has one CPU device. Received: devices={spec!r}"
        )
    try:
        names = _choose(kind, which)
    except RuntimeError as error:
        raise ValueError(
            f"`devices` must be chosen before TensorFlow is in use. Received: {spec!r} in a "
            f"process that has used it ({error})"
        ) from error
    if task:
        return Devices(spec, sync_batch_norm, multi_worker.join(task.workers), task)
    strategy = _mirrored(tuple(names)) if len(names) > 1 else None
    return Devices(spec, sync_batch_norm, strategy)


@functools.cache
def _mirrored(names):
    """One strategy a process: two on the same devices would mix up their sums."""
    return tf.distribute.MirroredStrategy(list(names))


def _choose(kind, which):
    """Makes the devices, hides GPUs that were not chosen, and returns the names of several."""
    if kind == "auto":
        return []
    if kind == "cpu":
        tf.config.set_visible_devices([], "GPU")
        count = int(which or 1)
        if count > 1:
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            cpu = tf.config.list_physical_devices("CPU")[0]
            tf.config.set_logical_device_configuration(cpu, parts)
        return [f"CPU:{index}" for index in range(count)]
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise ValueError(
            "TensorFlow finds no GPU on this machine. Allowed here: auto, cpu or cpu:N. "
            f"Received: devices={kind}{':' * bool(which)}{which}"
        )
    indices = [int(part) for part in which.split(",")] if which else list(range(len(gpus)))
    if len(set(indices)) < len(indices) or max(indices) >= len(gpus):
        raise ValueError(
            f"GPUs must be different numbers of 0..{len(gpus) - 1}. Received: devices=gpu:{which}"
        )
    tf.config.set_visible_devices([gpus[index] for index in indices], "GPU")
    return [f"GPU:{index}" for index in range(len(indices))]


def _synchronize(network, is_synchronized):
    for layer in network.layers:
        if isinstance(layer, FusedBatchNormalization):
            layer.synchronized = is_synchronized
