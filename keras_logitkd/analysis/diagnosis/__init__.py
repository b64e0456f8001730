"""Why a student is no better: checks of a finished distillation, each with its number."""

from keras_logitkd.analysis.diagnosis.diagnose import CHECKS, diagnose
from keras_logitkd.analysis.diagnosis.finding import OK, PROBLEM, WARNING, Finding
from keras_logitkd.analysis.diagnosis.summary import standing

__all__ = ["CHECKS", "OK", "PROBLEM", "WARNING", "Finding", "diagnose", "standing"]
