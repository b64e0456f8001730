"""Sums over the replicas of a step: what each of several devices knows of the whole batch."""

import tensorflow as tf


def count():
    """Returns the number of replicas that share a step; 1 where there is no strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def are_in_step():
    """Whether this is code of one of several replicas, which can ask the others."""
    return count() > 1 and not tf.distribute.in_cross_replica_context()


def balance(examples):
    """Returns the weight, float32, of the mean loss of a replica's `examples` in the whole batch's.

    The strategy averages over replicas. Where the last batch of an epoch leaves some with fewer
    examples than others, or with none, only means weighted by n_r * R / N are the mean over all
    examples. Equal shares have the weight 1.
    """
    examples = tf.cast(examples, tf.float32)
    total = tf.distribute.get_replica_context().all_reduce("SUM", examples)
    return examples * count() / tf.maximum(total, 1.0)


def stack(values):
    """Returns the vectors (n,) of all replicas to each, with gradients: (replicas, n), in order.

    Adding zeros is exact: all replicas get the same bits, whatever order a sum has.
    """
    context = tf.distribute.get_replica_context()
    own = tf.one_hot(context.replica_id_in_sync_group, count(), dtype=values.dtype)
    return context.all_reduce("SUM", own[:, None] * values[None])


def moments(mean, variance, examples):
    """Returns mean and variance of all elements, from those of each replica, with gradients.

    Chan et al. (1979): no difference of large squares, unlike E[x^2] - E[x]^2.

    Args:
        mean, variance: Tensors of shape `(channels,)` over `examples` elements; the variance is
            without Bessel's correction. Those of no elements at all may be nan.
        examples: integer scalar, of this replica.

    Returns:
        (mean, variance, examples) of the whole batch, the same on every replica.
    """
    total, shares, (means, variances) = _stacked(mean, variance, examples)
    total_mean = tf.reduce_sum(shares * means, axis=0)
    spread = variances + tf.square(means - total_mean)
    return total_mean, tf.reduce_sum(shares * spread, axis=0), total


def average(mean, variance, examples):
    """As `moments`, but the variance is the average of the replicas' own."""
    total, shares, table = _stacked(mean, variance, examples)
    return *(tf.reduce_sum(shares * values, axis=0) for values in table), total


def _stacked(mean, variance, examples):
    """Count of all, shares of it (replicas, 1), and means and variances (replicas, channels)."""
    own = tf.cast(examples, mean.dtype)
    # Statistics of nothing are nan.
    values = [tf.where(own > 0, value, tf.zeros_like(value)) for value in (mean, variance)]
    table = stack(tf.concat([own[None], *values], axis=0))
    total = tf.reduce_sum(table[:, :1])
    return total, table[:, :1] / tf.maximum(total, 1.0), tf.split(table[:, 1:], 2, axis=1)
