"""The operations of views, one row each, in the order of application."""

from keras_logitkd.data.views.flip import Flip
from keras_logitkd.data.views.pad_crop import PadCrop
from keras_logitkd.data.views.resized_crop import ResizedCrop

# A row that is added before recipes are imported is an option of every command that trains.
OPERATIONS = [PadCrop, Flip, ResizedCrop]


def all_fields():
    """Returns the `Field`s of all operations, a list."""
    return [field for operation in OPERATIONS for field in operation.FIELDS]


def recipe_fields():
    """Returns those of `all_fields` that a recipe has."""
    return [field for field in all_fields() if field.help is not None]
