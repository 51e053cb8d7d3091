"""Scores by a dev set of all tasks that are tested: the same pool, clusters, regime and estimator, and another dev set.

A third of the dev records, or what their number of tasks makes of it, is of each task: dev's own, and for the others test
records that no evaluation reads, those after the first `evaluate.limit` of each.
"""

from itertools import chain

import numpy as np
import pandas as pd

from shed.errors import ShedError
from shed.files import read_json, write_json, write_table
from shed.params import Params
from shed.proxy_game import Setting, open_game
from shed.records import Record, read_records
from shed.scoring import draw_members, score_clusters
from shed.valuation.budget import Budget
from shed.valuation.training import Regime
from stages import main
from stages.proxy_game import LEDGER
from stages.score import ESTIMATORS


def run(params: Params) -> None:
    score, model = params.score, params.model
    clusters = pd.read_parquet("data/clusters.parquet")
    aside = draw_members(clusters, score.members, score.seed)
    setting = Setting(
        model.name,
        read_json("data/model.json"),
        model.prompt,
        model.max_tokens,
        score.utility,
        Regime(**score.tuning.model_dump(), seed=score.seed),
    )
    budget = Budget(**score.budget.model_dump(), **score.target.model_dump())
    pool = read_records("data/prepared/pool.jsonl")
    with open_game(clusters.assign(bystander=aside), pool, dev_of_all_tasks(params), setting, LEDGER) as game:
        sizes = np.bincount(clusters["cluster"])
        scored = score_clusters(
            game, ESTIMATORS[score.method](score), budget, score.on_divergence, sizes, params.model.max_tokens
        )
    write_table("experiments/compare/scores_of_all_tasks.parquet", scored.table[["cluster", "rank", "score", "stderr"]])
    write_json("experiments/compare/scores_of_all_tasks.json", {"fte": scored.metrics["fte"]})


def dev_of_all_tasks(params: Params) -> list[Record]:
    """As many records as dev has for scoring, of each task alike.

    Raises:
        ShedError: evaluation reads all test records, so that none are left.
    """
    dev, test = (read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test"))
    own = {record.source for record in dev}
    by_task: dict[str, list[Record]] = {}
    for record in test:
        by_task.setdefault(record.source, []).append(record)
    unread = {task: records[params.evaluate.limit or len(records) :] for task, records in by_task.items() if task not in own}
    rows = len(dev) if params.score.dev_rows is None else params.score.dev_rows
    share = rows // (1 + len(unread))
    if any(len(records) < share for records in unread.values()):
        raise ShedError(f"every task needs {share} test records that evaluation does not read: lower evaluate.limit")
    return list(chain(dev[: rows - share * len(unread)], *(records[:share] for records in unread.values())))


if __name__ == "__main__":
    main(run)
