"""Does the default selection win by accuracy? On more items than the comparison has, where 240 were too few to tell.

Usage, after `make repro` and `dvc --cd experiments/compare repro`: python -m experiments.selection.more_items. Writes
experiments/selection/more_items.json; half an hour the first time.

The rows of the comparison's runs at 10 % of the pool, random ones, `top`'s and `in_run`'s, are tuned on again under its five
seeds, and the models evaluated on up to 500 items of each test task.
"""

import json
from typing import Any

import pandas as pd

from experiments.shared.runs import test_items
from shed.evaluation.comparison import compare
from shed.evaluation.lm_evaluation import headline, summarise
from shed.common.atomic_io import write_json
from shed.params import load_params

RESULT = "experiments/selection/more_items.json"
METHODS, SHARE, SEEDS, LIMIT = ("random", "top", "in_run"), 0.1, (1, 2, 3, 4, 5), 500


def main() -> None:
    params = load_params()
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": LIMIT})})
    untuned = test_items(params, params.model.name, None, 0)
    items = []
    for seed in SEEDS:
        for method in METHODS:
            rows = pd.read_parquet(f"experiments/compare/selections/{method}-{SHARE}-{seed}.parquet")["id"].tolist()
            own = test_items(params, params.model.name, rows, seed)
            items.append(own.assign(method=method, fraction=SHARE, seed=seed))
    found = pd.concat(items)
    by_task = {str(task): compare(own, "test", "random") for task, own in found.groupby("task")}
    result: dict[str, Any] = {
        "items": len(untuned),
        "seeds": SEEDS,
        "untuned": headline(summarise(untuned)),
        "all_tasks": json.loads(compare(found, "test", "random").to_json(orient="records")),
        "by_task": {task: json.loads(table.to_json(orient="records")) for task, table in by_task.items()},
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
