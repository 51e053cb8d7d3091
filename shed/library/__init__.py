"""The method as verbs for a notebook: rate, cluster, score, select, verdict, on rows that are in memory.

In: rows, as lists of dictionaries or `datasets.Dataset`s. Out: results with their evidence; the numbers are those of the
pipeline for the same rows and settings.
"""

from shed.library.results import ClusterResult, PlanResult, RatingResult, ScoreResult, SelectionResult, VerdictResult
from shed.library.selector import Selector

__all__ = ["ClusterResult", "PlanResult", "RatingResult", "ScoreResult", "SelectionResult", "Selector", "VerdictResult"]
