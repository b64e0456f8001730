"""The one exception that bad data raises."""


class DataError(ValueError):
    """Data that cannot be used: one line with what was received and what is allowed."""


def one_line(error):
    """Returns the message of an exception on one line."""
    return " ".join(str(error).split()) or type(error).__name__
