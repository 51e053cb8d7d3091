"""Does the default selection win by accuracy? On more items than the comparison has, whose 240 are too few to decide.

In: the comparison's selections, the pool and test. Out: more_items.json. `dvc --cd experiments/selection repro more_items`
runs it, in half an hour the first time.

The rows of the comparison's runs at 10 % of the pool, those of `random`, `top` and `in_run`, are tuned on under the same
five seeds, and the models are evaluated on up to 500 items of each test task.
"""

import json
from typing import Any

import pandas as pd

from experiments.shared.runs import tuned_items
from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.evaluation.comparison import compare
from shed.evaluation.summaries import headline, summarise
from shed.params import load_params
from stages.shared.settings.model import model_spec

RESULT = "experiments/selection/more_items.json"
METHODS, SHARE, SEEDS, LIMIT = ("random", "top", "in_run"), 0.1, (1, 2, 3, 4, 5), 500


def main() -> None:
    params = load_params()
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": LIMIT})})
    spec, test = model_spec(params), {"test": read_records("data/prepared/test.jsonl")}
    untuned = tuned_items(params, spec, None, 0, test)
    items = []
    for seed in SEEDS:
        for method in METHODS:
            rows = pd.read_parquet(f"experiments/compare/selections/{method}-{SHARE}-{seed}.parquet")["id"].tolist()
            own = tuned_items(params, spec, rows, seed, test)
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
