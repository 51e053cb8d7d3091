"""Dev's tasks as `prepare` has found them: their shares, and how they make one utility."""

from collections.abc import Mapping

from shed.common.atomic_io import read_json
from shed.data.tasks.combining import Combine
from shed.data.tasks.dev_tasks import from_file


def dev_tasks() -> tuple[Mapping[str, float], Combine]:
    """The shares of dev's tasks by their names, empty where dev is one; and whether their mean or the worst counts."""
    return from_file(read_json("data/prepared/dev_tasks.json"))
