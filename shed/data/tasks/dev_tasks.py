"""Several dev tasks, each with a weight.

In: tasks as params name them, and dev records, whose `source` is their task. Out: the tasks' shares and how they are
combined, as a file has them; an order in which every beginning of dev has all tasks.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shed.common.errors import ShedError
from shed.data.recipes import Line
from shed.data.records import Record
from shed.data.tasks.combining import Combine

WORST = "worst"  # in the file of dev's tasks, above their shares


class DevTask(BaseModel):
    """One of several tasks that define utility.

    Attributes:
        path: `from` in params: where its records are, in any form that a split has.
        weight: how much it counts beside the others; 0: it is measured, and does not define utility.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: Line = Field(alias="from")
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def __repr__(self) -> str:
        return f"{self.path} (weight {self.weight:g})"


def check_weights(tasks: Mapping[str, DevTask]) -> Mapping[str, DevTask]:
    """Refuse tasks of which none counts; a check of a field, whose errors are its model's."""
    if not any(task.weight for task in tasks.values()):
        raise ValueError(f"the weights of {', '.join(tasks)} are all 0, so that nothing defines utility; set one above 0")
    return tasks


def shares(tasks: Mapping[str, DevTask]) -> dict[str, float]:
    """The weights, divided by their sum."""
    total = math.fsum(task.weight for task in tasks.values())
    return {name: task.weight / total for name, task in tasks.items()}


def to_file(tasks: Mapping[str, DevTask], combine: Combine) -> dict[str, Any]:
    """What the file of dev's tasks holds: their shares; where the worst of them counts, below a key that says so."""
    return shares(tasks) if combine == "mean" else {WORST: shares(tasks)}


def from_file(found: Mapping[str, Any]) -> tuple[Mapping[str, float], Combine]:
    """The shares of dev's tasks, empty where dev is one, and how they are combined, from what `to_file` has written."""
    own = found.get(WORST)
    return (own, "worst") if isinstance(own, dict) else (found, "mean")  # a task of this name has a number


def check_records(tasks: Mapping[str, DevTask], dev: Sequence[Record]) -> None:
    """Refuse a task that has no record.

    Raises:
        ShedError: the first one.
    """
    there = {record.source for record in dev}
    for name, task in tasks.items():
        if name not in there:
            raise ShedError(
                f"the dev task {name} ({task.path}) has no usable record, as data/prepared/rejects.jsonl explains; give it "
                "others, or leave the task out",
                "records of dev",
            )


def spread(dev: Sequence[Record]) -> list[Record]:
    """The records in an order in which every beginning has of each task about its part; within a task their order stays.

    Stages that measure on the first dev records alone have all tasks so.
    """
    sizes, seen = Counter(record.source for record in dev), Counter[str]()
    places: list[Fraction] = []
    for record in dev:
        places.append(Fraction(2 * seen[record.source] + 1, 2 * sizes[record.source]))
        seen[record.source] += 1
    return [dev[n] for n in sorted(range(len(dev)), key=lambda n: (places[n], n))]
