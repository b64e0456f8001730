"""What a view does to images: a list of operations."""

import numpy as np

from keras_logitkd.data.views import registry
from keras_logitkd.storage.fields import check_fields


class Augmentation:
    """What views do to images: the operations of the registry whose fields are not the defaults.

    Args:
        **fields: values of their fields. Default to doing nothing.

    Raises:
        DataError: if a value is out of range or excludes another.
        TypeError: if there is no such field.
    """

    # Fields of release 0.1; others are left out of keys while they have their defaults.
    ALWAYS = frozenset({"pad", "flip", "resized_crop", "area", "ratio"})

    def __init__(self, **fields):
        rows = registry.all_fields()
        self.fields = {row.name: fields.pop(row.name, row.default) for row in rows}
        if fields:
            allowed = ", ".join(self.fields)
            raise TypeError(f"A view has the fields {allowed}. Received: {', '.join(fields)}")
        check_fields(rows, self.fields)
        operations = [operation(self.fields) for operation in registry.OPERATIONS]
        for operation in operations:
            operation.check(self.fields)
        active = [each for each in operations if each.is_active]
        self.operations = tuple(sorted(active, key=lambda each: each.read is None))

    def __repr__(self):
        fields = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"Augmentation({fields})"

    def replace(self, **fields):
        """Returns a copy with other fields."""
        return Augmentation(**{**self.fields, **fields})

    def to_config(self):
        """Returns what the pixels of a view depend on beside (view seed, view, index), a dict."""
        return self._config(registry.all_fields())

    def evaluation_config(self):
        """Returns what the pixels of an evaluation depend on, a dict."""
        own = {name for each in registry.OPERATIONS for name in each.evaluation_fields}
        return self._config([row for row in registry.all_fields() if row.name in own])

    def _config(self, rows):
        return {
            row.name: self.fields[row.name]
            for row in rows
            if row.name in self.ALWAYS or self.fields[row.name] != row.default
        }

    def output_shape(self, image_shape):
        """Returns the shape of a view of an image of shape (height, width, channels)."""
        shape = tuple(image_shape)
        for operation in self.operations:
            shape = operation.output_shape(shape)
        return shape

    @property
    def draws(self):
        """How many parameters a view of an example has."""
        return sum(operation.draws for operation in self.operations)

    def parameters(self, view_seed, view, count):
        """Draws the parameters of one view of every example.

        Row i depends on (view seed, view, i) alone: neither on the count nor on what is batched
        with it.

        Args:
            view_seed: integer.
            view: integer >= 0.
            count: examples in the split.

        Returns:
            int64 array of shape (count, draws): the operations' own side by side.
        """
        columns = [np.empty((count, 0), np.int64)]
        for operation in self.operations:
            columns.append(operation.parameters(operation.words(view_seed, view, count)))
        return np.concatenate(columns, axis=1)

    def views(self, images, index, parameters):
        """Returns views of a batch.

        Args:
            images: a bound source, see `keras_logitkd.data.sources`.
            index: int64 tensor (b,).
            parameters: int64 tensor (b, draws), rows of `parameters`.

        Returns:
            uint8 tensor (b, height, width, channels).
        """
        import tensorflow as tf

        own, first = [], 0
        parameters = tf.ensure_shape(parameters, (None, self.draws))
        for each in self.operations:
            own.append((each, parameters[:, first : first + each.draws]))
            first += each.draws
        batch = next(
            (each.read(images, index, numbers) for each, numbers in own if each.read), None
        )
        batch = _moved(own, images.batch(index) if batch is None else batch)
        for each, numbers in own:
            batch = each.apply(batch, numbers)
        return batch

    def evaluation(self, images, index):
        """Returns a batch as it is evaluated: `views` without what is random."""
        reads = [each.read_evaluation for each in self.operations if each.read_evaluation]
        return reads[0](images, index) if reads else images.batch(index)


def _moved(operations, batch):
    """One gather of rows and one of columns, where an operation moves any."""
    import tensorflow as tf

    sizes = batch.shape[1:3]
    margin = max([each.margin for each, _ in operations], default=0)
    if margin:
        batch = tf.pad(batch, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    for axis, (size, name) in enumerate(zip(sizes, ("rows", "columns"), strict=True), start=1):
        places = here = tf.range(size, dtype=tf.int64)
        for each, numbers in reversed(operations):
            places = getattr(each, name)(places, size, numbers)
        if places is not here:
            batch = tf.gather(batch, places, axis=axis, batch_dims=1)
    return batch


NONE = Augmentation()
