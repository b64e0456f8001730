"""One self-contained HTML page on a run, a sweep or a search."""

from keras_logitkd.report.write import write_page

__all__ = ["write_page"]
