"""Ratings by a dev set of all tasks that are tested: the same pool, warm start and direction, of another dev set.

Of as many records as dev has for rating, each task gives the same share: dev's own from dev, the others from those test
records that no evaluation reads, after the first `evaluate.limit` of each.
"""

from itertools import chain

import pandas as pd

from shed.common.errors import ShedError
from shed.common.atomic_io import write_json, write_table
from shed.params import Params
from shed.data.records import Record, read_records
from stages import main
from stages.rate import rate_as_asked


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    rated = rate_as_asked(params, pool, dev_of_all_tasks(params))
    table = pd.DataFrame({"id": [record.id for record in pool], "rating": rated.ratings})
    write_table("experiments/compare/ratings_of_all_tasks.parquet", table)
    write_json("experiments/compare/ratings_of_all_tasks.json", rated.metrics)


def dev_of_all_tasks(params: Params) -> list[Record]:
    """As many records as dev has for rating, of each task alike.

    Raises:
        ShedError: evaluation reads all test records, so that none are left.
    """
    dev, test = (read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test"))
    own = {record.source for record in dev}
    by_task: dict[str, list[Record]] = {}
    for record in test:
        by_task.setdefault(record.source, []).append(record)
    unread = {task: records[params.evaluate.limit or len(records) :] for task, records in by_task.items() if task not in own}
    rows = len(dev[: params.rate.dev_rows])
    share = rows // (1 + len(unread))
    if any(len(records) < share for records in unread.values()):
        raise ShedError(f"every task needs {share} test records that evaluation does not read: lower evaluate.limit")
    return list(chain(dev[: rows - share * len(unread)], *(records[:share] for records in unread.values())))


if __name__ == "__main__":
    main(run)
