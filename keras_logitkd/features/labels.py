"""Labels of examples, or of each place of one, in the forms in which they are given."""

from keras import ops

from keras_logitkd.networks.shapes import compatible


def class_numbers(labels, logits):
    """Returns labels as numbers of classes, a tensor of shape `(batch, ...)` as the places have.

    Args:
        labels: Numbers of the places, also with a last axis of 1, or one-hot as the logits.
        logits: Tensor of shape `(batch, ..., classes)`.

    Raises:
        ValueError: If the labels have another shape.
    """
    labels = ops.convert_to_tensor(labels)
    shape, wanted = tuple(labels.shape), tuple(logits.shape)
    if compatible(shape, wanted[:-1]):
        return labels
    if compatible(shape[:-1], wanted[:-1]) and shape[-1] in (1, wanted[-1]):
        return ops.squeeze(labels, axis=-1) if shape[-1] == 1 else ops.argmax(labels, axis=-1)
    raise ValueError(
        f"Labels must be class numbers of shape {wanted[:-1]} or {(*wanted[:-1], 1)}, or one-hot "
        f"of shape {wanted}, as the logits are. Received: labels of shape {shape}"
    )
