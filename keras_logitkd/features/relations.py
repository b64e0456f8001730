"""Relations within a batch: what examples, and pairs and triples of them, count.

The methods on relations have one value for all examples of a batch. A pair or triple counts by the
product of the weights of its examples, and every mean and sum over examples within the method
does so, too: an example of weight 2 stands for two equal ones, and one that does not count has no
part in the relations of others.
"""

import string

from keras import ops

from keras_logitkd.networks import places


def counted(batch):
    """Returns what the examples of a batch count: their weights, and how many of them count.

    Without a mask all count, by the mean of the weights of their places; with one, an example
    counts by the share of its places that do.

    Args:
        batch: A `Batch` with the mask and the weights of the places.

    Returns:
        A float32 tensor of shape `(batch,)` and a scalar. The first is None where all count alike,
        the second where all count.
    """
    each = _of_examples(places.weights(batch.mask, batch.weight))
    if batch.mask is None:
        return each, None
    return each, ops.sum(_of_examples(places.weights(batch.mask, None)))


def _of_examples(each):
    """The means over the places of each example."""
    inner = tuple(range(1, 1 if each is None else len(each.shape)))
    return ops.mean(each, axis=inner) if inner else each


def products(weights, order):
    """Returns the products of the weights of each `order` examples, a tensor with as many axes."""
    axes = string.ascii_lowercase[:order]
    return ops.einsum(f"{','.join(axes)}->{axes}", *[weights] * order)


def mean(values, weights=None, count=None):
    """Returns the mean of values of examples `(batch,)`, pairs `(batch, batch)` or triples.

    Formula: sum of value times the product of its examples' weights, over as many factors `count`.

    Args:
        values: Tensor whose axes are all the batch.
        weights: Of the examples, shape `(batch,)`. Defaults to None: all count alike.
        count: How many examples count. Defaults to None: all of the batch.
    """
    if weights is None:
        return ops.mean(values)
    order = len(values.shape)
    average = ops.mean(values * products(weights, order))
    if count is None:
        return average
    size = ops.cast(ops.shape(weights)[0], "float32")
    return average * ops.divide_no_nan(size, count) ** order
