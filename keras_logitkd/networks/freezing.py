"""Which layers of a network train: all of them, or its last one alone; batch normalization or not.

A layer that does not train is not changed by a step: batch normalization then uses its moving
statistics, and weight decay does not count its kernels.
"""

import keras

from keras_logitkd.networks.outputs import is_graph


class Trainability:
    """What of a network trains, of that what does when this is made.

    Args:
        network: a `keras.Model`.
    """

    def __init__(self, network):
        self.network = network
        layers = network._flatten_layers(include_self=False)
        self.layers = [
            layer for layer in layers if not isinstance(layer, keras.Model) and layer.trainable
        ]

    def restrict(self, head_only=False, batch_norm=True):
        """Lets only some layers train.

        Args:
            head_only: whether only the layer that makes the logits does. Defaults to False.
            batch_norm: whether batch normalization does. Defaults to True.

        Raises:
            ValueError: If it is not known which layer makes the logits.
        """
        head = head_of(self.network) if head_only else None
        if head_only and head is None:
            raise ValueError(
                "`head_epochs` must be 0 where no single layer with weights makes the logits. "
                f"Received: the network {self.network.name!r}"
            )
        for layer in self.layers:
            is_frozen = not batch_norm and isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = layer is head if head_only else not is_frozen

    def restore(self):
        """Lets train again what did before."""
        self.restrict()


def head_of(model):
    """Returns the layer that makes the logits of a model: its last one with weights, or None.

    None where the graph of layers is not known, or several branches come together after weights.
    """
    if not is_graph(model):
        return None
    tensor = model.outputs[0]
    while True:
        history = tensor._keras_history
        operation = history.operation
        if isinstance(operation, keras.Model):
            return head_of(operation)
        if getattr(operation, "weights", None):
            return operation
        tensors = operation._inbound_nodes[history.node_index].input_tensors
        if len(tensors) != 1:
            return None
        (tensor,) = tensors
