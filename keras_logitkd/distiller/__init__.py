"""The `Distiller`, and what `fit` needs of it."""

from keras_logitkd.distiller.model import Distiller

__all__ = ["Distiller"]
