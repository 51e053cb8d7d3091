"""By what should records be rated? Selections by ratings of several makes, on dev records that no rating was made for.

Usage, after `make repro` and `dvc --cd experiments/compare repro`: python -m experiments.selection.ratings. Writes
experiments/selection/ratings.json; forty minutes the first time.

Ratings are of the first `rate.dev_rows` records of dev; models are evaluated on all others, so that neither they nor test have
been chosen by. The tenth with the highest ratings is tuned on under several seeds, and compared with random rows.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import zscore

from experiments.shared.runs import items
from shed.evaluation.comparison import compare
from shed.common.atomic_io import write_json
from shed.params import Params, load_params
from shed.data.records import Record, read_records
from shed.selection.sampling import budget
from shed.valuation.estimate import rank_correlation
from stages.rate import rate_as_asked

RESULT = "experiments/selection/ratings.json"
SEEDS = (1, 2, 3)
MADE: dict[str, dict[str, Any]] = {
    "choice loss, the default": {},
    "choice loss, another start": {"seed": 2},
    "dev loss": {"utility": "dev_loss"},
    "dev loss, a start of 32 rows": {"utility": "dev_loss", "warm_rows": 32},
}


def main() -> None:
    params = load_params()
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")
    rated_by, others = dev[: params.rate.dev_rows], dev[params.rate.dev_rows :]
    ratings: dict[str, np.ndarray] = {}
    for name, changes in MADE.items():
        asked = params.model_copy(update={"rate": params.rate.model_copy(update=changes)})
        ratings[name] = rate_as_asked(asked, pool, rated_by).ratings
    default, dev_loss = ratings["choice loss, the default"], ratings["dev loss"]
    ratings["choice loss, two starts"] = default + ratings["choice loss, another start"]
    ratings["choice loss and dev loss, in units of their deviations"] = zscore(default) + zscore(dev_loss)
    ratings["choice loss, given the better half"] = given_the_better_half(params, pool, rated_by, default)
    ratings["in-run effects on dev loss"] = pd.read_parquet("experiments/compare/signals.parquet")["in_run"].to_numpy()
    ids = np.array([record.id for record in pool])
    rows = budget(len(ids), params.sample.fraction, params.sample.rows)
    chosen = {name: ids[np.argsort(-own, kind="stable")[:rows]].tolist() for name, own in ratings.items()}
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": None})})
    found = []
    for seed in SEEDS:
        drawn = ids[np.random.default_rng(seed).permutation(len(ids))[:rows]].tolist()
        for name, own in {"random": drawn, **chosen}.items():
            evaluated = items(params, params.model.name, own, seed, "dev", others)
            found.append(evaluated.assign(method=name, fraction=params.sample.fraction, seed=seed))
    first = next(iter(ratings))
    result = {
        "rows": rows,
        "items": len(others),
        "seeds": SEEDS,
        "rank_correlation_with_the_default": {name: rank_correlation(own, ratings[first]) for name, own in ratings.items()},
        "rows_shared_with_the_default": {name: len(set(own) & set(chosen[first])) for name, own in chosen.items()},
        "selections": json.loads(compare(pd.concat(found), "dev", "random").to_json(orient="records")),
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def given_the_better_half(params: Params, pool: list[Record], dev: list[Record], ratings: np.ndarray) -> np.ndarray:
    """Ratings whose warm start is the better half of a selection, which keeps its place above all others.

    `rate` draws the rows of its warm start by its seed, so the pool is arranged for it to draw these.
    """
    half = budget(len(pool), params.sample.fraction, params.sample.rows) // 2
    best_first = np.argsort(-ratings, kind="stable")
    drawn = np.random.default_rng(params.rate.seed).permutation(len(pool))
    arranged = np.empty(len(pool), dtype=int)
    arranged[drawn] = best_first
    asked = params.model_copy(update={"rate": params.rate.model_copy(update={"warm_rows": half})})
    found = np.empty(len(pool))
    found[arranged] = rate_as_asked(asked, [pool[i] for i in arranged], dev).ratings
    found[best_first[:half]] += np.ptp(found)
    return found


if __name__ == "__main__":
    main()
