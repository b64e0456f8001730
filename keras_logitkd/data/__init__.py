"""Image-classification data: where it comes from, in which order, under which view."""
