"""What several dev tasks make together: their weighted mean, or the worst of them.

In: the tasks' shares or weights. Out: which of them count, or an error in one line. Params are checked by it, so that it loads
no arrays.
"""

from collections.abc import Mapping
from typing import Literal

from shed.common.errors import ShedError

Combine = Literal["mean", "worst"]


def tasks_that_count(of: Mapping[str, float]) -> list[str]:
    """The names of the tasks whose share is not 0, in their order."""
    return [name for name, share in of.items() if share]


def check_worst(of: Mapping[str, float]) -> None:
    """Refuse to go by the worst of tasks where that would mean nothing, or not what their weights say.

    Args:
        of: the shares of tasks, or their weights.

    Raises:
        ShedError: fewer than two of them count, or those that count do not weigh the same.
    """
    counted = tasks_that_count(of)
    if len(counted) < 2:
        there = f"{counted[0]} alone counts" if counted else "dev is not made of named tasks"
        raise ShedError(
            f"the worst of several dev tasks is asked for, but {there}; name two tasks at least, each with a weight above 0, "
            "or combine by the mean",
            "combination of dev tasks",
        )
    if len({of[name] for name in counted}) > 1:
        raise ShedError(
            f"the worst of the dev tasks {', '.join(counted)} is asked for, which has no use for weights, but theirs differ; "
            "give each the weight 1, or 0 if it is not to count, or combine by the mean",
            "combination of dev tasks",
        )
