"""What an exported file is worth: what it says on test images, and how fast, by its own runtime."""

import pathlib
import time

import numpy as np

from keras_logitkd.deploy import formats
from keras_logitkd.runs import evaluation

_TIMED = 100  # images, after as many for warming up as a tenth of them
_BATCH = 64


def measure(path, images, labels, logits=None, teacher_logits=None, threads=1):
    """Runs an exported file on labelled images.

    Args:
        path: of the file, whose ending says its format.
        images: array of shape (n, height, width, channels).
        labels: integer array of shape (n,).
        logits: of the network that was exported, (n, classes). Defaults to None.
        teacher_logits: (n, classes). Defaults to None.
        threads: that the runtime may use. Defaults to 1.

    Returns:
        Dict: `bytes` of the file; `examples`; `accuracy` in [0, 1]; with `logits` `agreement`, the
        share of equal answers, and `largest_difference` of logits; with `teacher_logits`
        `teacher_agreement`; `median_ms` and `p95_ms` of one image at a time, and `threads`.

    Raises:
        ValueError: If it is a file of no known format, or a package is missing.
    """
    path = pathlib.Path(path)
    row = formats.of_file(path)
    if row is None:
        endings = ", ".join(each.suffix for each in formats.FORMATS)
        raise ValueError(f"An exported file must end in {endings}. Received: {path}")
    run = row.load().Runtime(path, threads)
    said = np.concatenate(
        [run(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    )
    result = {
        "bytes": path.stat().st_size,
        "examples": len(labels),
        "accuracy": evaluation.accuracy(said, labels),
    }
    if logits is not None:
        result["agreement"] = evaluation.agreement(said, logits)
        result["largest_difference"] = float(np.abs(said - logits).max())
    if teacher_logits is not None:
        result["teacher_agreement"] = evaluation.agreement(said, teacher_logits)
    return result | _latency(run, images) | {"threads": threads}


def _latency(run, images):
    """Milliseconds of one image at a time: the median and the 95th percentile."""
    chosen = [images[number % len(images)][np.newaxis] for number in range(_TIMED)]
    for image in chosen[: _TIMED // 10]:
        run(image)
    times = []
    for image in chosen:
        started = time.perf_counter()
        run(image)
        times.append(1000 * (time.perf_counter() - started))
    return {"median_ms": float(np.median(times)), "p95_ms": float(np.percentile(times, 95))}
