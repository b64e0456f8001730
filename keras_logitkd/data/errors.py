"""The one exception that bad data raises."""


class DataError(ValueError):
    """Data that cannot be used: one line with what was received and what is allowed."""
