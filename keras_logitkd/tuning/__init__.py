"""Searching for the objective: a KerasTuner hypermodel, and whole searches over trials."""

from keras_logitkd.tuning.hypermodel import DistillationHyperModel
from keras_logitkd.tuning.search import Search
from keras_logitkd.tuning.space import Candidate, SearchSpace
from keras_logitkd.tuning.workers import WorkerError

__all__ = ["Candidate", "DistillationHyperModel", "Search", "SearchSpace", "WorkerError"]
