"""Names of tasks beside those of records.

In: the names of tasks that are measured, and test records. Out: nothing, or an error in one line.
"""

from collections.abc import Iterable

from shed.common.errors import ShedError
from shed.data.records import Record


def check_names(tasks: Iterable[str], test: Iterable[Record]) -> None:
    """Refuse test records that would be measured under the name of a task: their items would be one group.

    Raises:
        ShedError: the first such name.
    """
    if both := sorted(set(tasks) & {record.source for record in test}):
        raise ShedError(
            f"test records and a task that is measured beside them are both called {both[0]}; leave the task out, or give the "
            "records' source another name",
            "tasks",
        )
