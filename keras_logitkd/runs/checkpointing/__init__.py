"""The state of a training, and going on from it."""
