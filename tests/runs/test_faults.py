"""Which errors of TensorFlow say that memory was too little, and what is made of them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd.processes.cluster import WorkerLostError
from keras_logitkd.runs import faults
from keras_logitkd.runs.distribution import multi_worker
from keras_logitkd.storage.errors import DataError


def onednn(status, message):
    return tf.errors.AbortedError(
        None,
        None,
        "Graph execution error:\n\nDetected at node logits_1/BiasAdd defined at (most recent call "
        "last):\n<stack traces unavailable>\nOperation received an exception:Status: "
        f"{status}, message: {message}, in file tensorflow/core/kernels/mkl/mkl_matmul_op_fused.cc",
    )


NO_MEMORY = [
    (onednn(1, "could not create a primitive"), "oneDNN could not create a primitive"),
    (onednn(5, "could not execute a primitive"), "oneDNN could not execute a primitive"),
    (
        tf.errors.ResourceExhaustedError(
            None,
            None,
            "Graph execution error:\n\nDetected at node PartitionedCall defined at (most recent "
            "call last):\n<stack traces unavailable>\nOut of memory while trying to allocate "
            "68852648264 bytes.\n\t [[{{node PartitionedCall}}]]",
        ),
        "Out of memory while trying to allocate 68852648264 bytes",
    ),
    (
        tf.errors.ResourceExhaustedError(
            None, None, "Graph execution error:\n\n<stack traces unavailable>\nNo space in X"
        ),
        "No space in X",
    ),
    (MemoryError(), "no room for a Python object"),
]
SOMETHING_ELSE = [
    onednn(3, "could not create a primitive descriptor"),  # dnnl_unimplemented
    tf.errors.AbortedError(None, None, "Session handle is not found"),
    tf.errors.UnavailableError(None, None, "Socket closed"),
    ValueError("Out of range"),
]


@pytest.mark.parametrize(("error", "reason"), NO_MEMORY)
def test_lack_of_memory_is_told_by_its_code(error, reason):
    assert faults.lack_of_memory(error) == reason
    assert str(faults.explained(error, 64)).startswith(
        f"Out of memory with 64 examples a step ({reason}). Lower --batch-size"
    )
    assert str(faults.explained(error)).startswith(f"Out of memory ({reason}). Take a smaller")


@pytest.mark.parametrize("error", SOMETHING_ELSE)
def test_other_errors_stay_what_they_are(error, tmp_path):
    assert faults.explained(error) is None
    with pytest.raises(type(error)) as caught, faults.named(tmp_path, 64):
        raise error
    assert caught.value is error


def test_what_numpy_really_raises():
    with pytest.raises(MemoryError) as caught:
        np.ones((1 << 23, 1 << 23))
    assert "(Unable to allocate 512. TiB" in str(faults.explained(caught.value))


def test_an_error_is_explained_once(tmp_path):
    with (
        pytest.raises(MemoryError, match=r"^Out of memory with 8 examples a step \(oneDNN[^(]*\)"),
        faults.named(tmp_path, 64),
        faults.named(tmp_path, 8),
    ):
        raise onednn(1, "could not create a primitive")


def test_a_record_that_cannot_be_read_is_a_data_error():
    error = tf.errors.DataLossError(None, None, "corrupted record at 12 [Op:IteratorGetNext]")
    assert isinstance(faults.explained(error), DataError)


def test_a_worker_without_memory_is_not_taken_for_a_lost_one():
    with pytest.raises(tf.errors.AbortedError), multi_worker.lost_workers():
        raise onednn(5, "could not execute a primitive")
    with pytest.raises(WorkerLostError), multi_worker.lost_workers():
        raise tf.errors.AbortedError(None, None, "another task reported an error")
