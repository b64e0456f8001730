"""Training on wrong labels: which they are, and what the network made of them."""

import dataclasses

import numpy as np

from keras_logitkd.data.noise import apply_noise
from keras_logitkd.storage.atomic import replacing


@dataclasses.dataclass(frozen=True)
class NoisyLabels:
    """The labels of the examples that a run trains on, some of them wrong.

    Args:
        indices: int64 array of shape (n,): the training examples.
        clean: int32 array of shape (n,): their true labels.
        noisy: int32 array of shape (n,): what the run is told.
        flipped: bool array of shape (n,): where the two differ.
    """

    indices: np.ndarray
    clean: np.ndarray
    noisy: np.ndarray
    flipped: np.ndarray

    @classmethod
    def draw(cls, noise, labels, indices, num_classes):
        """Draws a `LabelNoise` of a split's labels at the training examples' indices, (n,) both.

        It is a pure function of its arguments.
        """
        clean = labels[indices]
        return cls(indices, clean, *apply_noise(noise, clean, num_classes))

    def on(self, split):
        """Returns the split with the noisy labels; examples that are not trained on keep theirs."""
        labels = split.labels.copy()
        labels[self.indices] = self.noisy
        return dataclasses.replace(split, labels=labels)

    def save(self, path):
        """Writes the arrays as an .npz file, whole or not at all."""
        with replacing(path) as partial:
            np.savez_compressed(partial, **dataclasses.asdict(self))

    def measure(self, logits):
        """Measures a network on the training examples, unaugmented.

        Args:
            logits: array of shape (n, classes).

        Returns:
            Dict of shares: `label_noise`, of wrong labels; `train_clean_accuracy`, predicted as
            the true label; and of those with a wrong label `flipped_clean_accuracy`, predicted as
            the true one, and `memorisation`, predicted as the wrong one. The last two are None
            where nothing was flipped.
        """
        predicted = logits.argmax(axis=-1)
        right, fooled = predicted == self.clean, (predicted == self.noisy)[self.flipped]
        return {
            "label_noise": float(self.flipped.mean()),
            "train_clean_accuracy": float(right.mean()),
            "flipped_clean_accuracy": float(right[self.flipped].mean()) if len(fooled) else None,
            "memorisation": float(fooled.mean()) if len(fooled) else None,
        }
