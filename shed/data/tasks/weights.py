"""What a dev record weighs where dev has several tasks, and which task it is of where the worst of them counts.

In: dev records, whose `source` is their task, and the shares of the tasks. Out: weights of records, and their tasks.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.data.tasks.combining import check_worst, tasks_that_count


def task_weights(dev: Sequence[Record], of: Mapping[str, float], sizes: Sequence[float] | None = None) -> np.ndarray:
    """What each dev record weighs, so that Σ weight · value is the weighted mean over tasks of each task's own mean.

    With `sizes`, a task's own mean is Σ value / Σ size: of nats with response tokens as sizes, nats a response token.

    Args:
        dev: B records, whose sources are their tasks.
        of: the `shares` of tasks; empty: all records are of one task.
        sizes: of each record, above 0; None: 1 each.

    Returns:
        (B,) float64; Σ weight · size is 1.

    Raises:
        ShedError: a task that counts has no record among these, or a record is of no task.
    """
    names = [record.source if of else "" for record in dev]
    parts = of or {"": 1.0}
    own = np.ones(len(dev)) if sizes is None else np.asarray(sizes, float)
    totals = dict.fromkeys(parts, 0.0)
    for name, size in zip(names, own, strict=True):
        if name not in totals:
            raise ShedError(f"a dev record is of the task {name}, which has no weight; prepare the splits anew")
        totals[name] += size
    if absent := [name for name, share in parts.items() if share and not totals[name]]:
        raise ShedError(
            f"the dev task {absent[0]} has none of the {len(dev):,} dev records that are measured; measure on more of them",
            "rows of dev",
        )
    counted = math.fsum(parts.values())
    return np.array([parts[name] / counted / totals[name] for name in names])


def worst_weights(
    dev: Sequence[Record], of: Mapping[str, float], sizes: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each dev record what it weighs within its own task, and the place of this task among those that count.

    Σ weight · value over the records of a task is then the task's own mean; see `task_weights` for it, and for the arguments.

    Returns:
        (B,) float64 and (B,) int. A record of a task that does not count weighs 0, and has place 0.

    Raises:
        ShedError: as `check_worst` and `task_weights` do.
    """
    check_worst(of)
    counted = tasks_that_count(of)
    weights = len(counted) * task_weights(dev, {name: float(name in counted) for name in of}, sizes)
    return weights, np.array([counted.index(record.source) if record.source in counted else 0 for record in dev])
