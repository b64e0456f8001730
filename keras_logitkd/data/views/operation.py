"""What an operation of views may declare: fields, random numbers, and what it does to images."""

from keras_logitkd.data import randomness
from keras_logitkd.storage import hashing


class Operation:
    """One thing that a view does to images: nothing, but for what a subclass declares.

    A row of `registry.OPERATIONS` makes its fields attributes of recipes and options of the command
    line. A view reads images first (`read`), then moves their pixels by one gather of rows and one
    of columns (`rows`, `columns`), then changes their values (`apply`); operations of the same kind
    follow each other in the order of their rows.

    Args:
        fields: the values of all fields of all operations, a dict by name.
    """

    name = None  # of its random numbers: another name is another view
    FIELDS = ()  # `Field` rows; the first says whether it does anything
    draws = 0  # random words, and numbers made of them, of one example
    margin = 0  # pixels of zeros around an image that `rows` and `columns` count from
    evaluation_fields = ()  # names of the fields that `read_evaluation` depends on
    read = None  # (images, index, parameters) -> uint8 (b, height, width, channels)
    read_evaluation = None  # (images, index) -> the same; `images` is a bound source

    def __init__(self, fields):
        vars(self).update({field.name: fields[field.name] for field in self.FIELDS})

    @property
    def is_active(self):
        """Whether the first field is not its default."""
        first = self.FIELDS[0]
        return getattr(self, first.name) != first.default

    def check(self, fields):
        """Raises DataError where the values of several fields exclude each other."""

    def words(self, view_seed, view, count):
        """Returns the random words of a view, uint64 (count, draws): row i is of example i.

        They depend on the operation's name: those of one operation say nothing about another's.
        """
        stream = int(hashing.of(self.name)[:16], 16)
        words = randomness.words(randomness.VIEW, view_seed, view, count * self.draws, stream)
        return words.reshape(count, self.draws)

    def parameters(self, words):
        """Returns int64 (count, draws), what the other methods get the rows of a batch of."""
        return words.view("int64")

    def output_shape(self, shape):
        """Returns the shape of what becomes of an image of shape (height, width, channels)."""
        return shape

    def rows(self, places, size, parameters):
        """Returns which row of an image, or of it and its margin, is at some places of the view.

        Args:
            places: int64 tensor (size,) or (b, size).
            size: rows of the image.
            parameters: int64 tensor (b, draws).
        """
        return places

    def columns(self, places, size, parameters):
        """As `rows`, of columns."""
        return places

    def apply(self, images, parameters):
        """Returns other values for a batch, uint8 (b, height, width, channels)."""
        return images
