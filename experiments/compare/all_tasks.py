"""Ratings by a dev set of all tested tasks: the same pool, warm start and direction, with another dev set.

In: the pool, dev and test records. Out: a rating for each pool record, and what rating took; none if no contender asks for it.
The dev set has as many records as dev has for rating, the same share of each task: dev's own from dev, the others from the test
records that no evaluation reads, after the first `evaluate.limit` of each.
"""

from itertools import chain

import pandas as pd

from experiments.compare.settings import PATH, load_settings, runs
from shed.common.atomic_io import write_json, write_table
from shed.common.errors import ShedError
from shed.data.records import Record, read_records
from shed.params import Params
from shed.selection.contenders import ON_ALL_TASKS
from shed.valuation.ratings import rate
from stages import main
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

TABLE, METRICS = "experiments/compare/ratings_of_all_tasks.parquet", "experiments/compare/ratings_of_all_tasks.json"


def run(params: Params) -> None:
    if not any(ON_ALL_TASKS in one.method for one in runs(load_settings())):
        write_table(TABLE, pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)}))
        write_json(METRICS, {"rated": 0})
        return
    pool, settings = read_records("data/prepared/pool.jsonl"), params.rate
    regime = scoring_regime(params, settings.seed)
    of = (pool, dev_of_all_tasks(params), model_spec(params), settings.utility, regime, settings.warm_rows)
    rated = rate(*of, method=settings.method)
    table = pd.DataFrame({"id": [record.id for record in pool], "rating": rated.ratings})
    write_table(TABLE, table)
    write_json(METRICS, rated.metrics)


def dev_of_all_tasks(params: Params) -> list[Record]:
    """As many records as dev has for rating, equally many of each task.

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
        raise ShedError(
            f"contenders {ON_ALL_TASKS} need {share} test records of each task beyond the first evaluate.limit, and some "
            f"task has fewer; lower evaluate.limit, or take these contenders out of {PATH}"
        )
    return list(chain(dev[: rows - share * len(unread)], *(records[:share] for records in unread.values())))


if __name__ == "__main__":
    main(run)
