"""Which part of an instruction pool to tune on: ratings of records, Shapley scores of clusters (SHED, arXiv 2405.00705).

`Selector` has the method as verbs for a notebook; it is imported when it is first used, so that the command starts at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shed.library import (
        ClusterResult,
        PlanResult,
        RatingResult,
        ScoreResult,
        SelectionResult,
        Selector,
        VerdictResult,
    )

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
__all__ = ["ClusterResult", "PlanResult", "RatingResult", "ScoreResult", "SelectionResult", "Selector", "VerdictResult"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'shed' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("shed.library"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
