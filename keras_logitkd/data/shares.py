"""Which parts of every batch a process reads."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Share:
    """What one process reads of each batch: some of its equal parts, one for each of its devices.

    Part i of n are the examples from floor(i N / n) to floor((i + 1) N / n) of N, so that the parts
    of a batch, in their order, are the batch. They may be empty.

    Args:
        first: number of the first part.
        stop: number after the last.
        parts: into how many a batch is cut.
    """

    first: int
    stop: int
    parts: int


def cut(batches, share):
    """Cuts each batch into the parts of a `Share`, one element each; None leaves it whole."""
    if share is None:
        return batches

    @tf.autograph.experimental.do_not_convert  # see pipeline.as_written
    def parts(batch):
        def part(number):
            def rows(column):
                count = tf.shape(column, out_type=tf.int64)[0]
                of = share.parts
                return column[number * count // of : (number + 1) * count // of]

            return tf.nest.map_structure(rows, batch)

        return tf.data.Dataset.range(share.first, share.stop).map(part)

    return batches.flat_map(parts)
