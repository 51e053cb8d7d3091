"""How far ratings repeat, and what they cost, by each method of rating.

In: the prepared default pool and dev, params.yaml. Out: benchmarks/rating_methods.json. Run it by
`python -m benchmarks.rating.methods`; it takes some forty processor minutes or more, and tunes warm starts alone.

A part of the pool is rated twice by each method: with other rows of the warm start, other initial weights, and other dev
records. What both ratings agree on is not chance. It says nothing of whether the best rated rows are the best to tune on.
"""

import json
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import get_args

import numpy as np

from shed.common.atomic_io import write_json
from shed.data.records import Record, read_records
from shed.params import Params, load_params
from shed.valuation.estimate import rank_correlation
from shed.valuation.rating.ways import RatingMethod
from shed.valuation.ratings import rate
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

RESULTS = Path(__file__).parents[1] / "rating_methods.json"
ROWS, DEV_ROWS, SEEDS, TAKEN = 1000, 100, (1, 2), 0.1


@dataclass(frozen=True)
class Rated:
    """Ratings (N,) of the same rows under each seed, and what one of them cost on average."""

    by_seed: list[np.ndarray]
    token_passes: float
    processor_seconds: float


def main() -> None:
    params = load_params("params.yaml")
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")
    some = [pool[i] for i in np.sort(np.random.default_rng(0).permutation(len(pool))[:ROWS])]
    found = {method: rated(params, some, dev, method) for method in get_args(RatingMethod)}
    result = {
        "rows": len(some),
        "dev_rows": DEV_ROWS,
        "taken": TAKEN,
        "methods": {
            name: {
                "rank_correlation": rank_correlation(*own.by_seed),
                "top_shared": top_shared(*own.by_seed),
                "token_passes": own.token_passes,
                "processor_seconds": own.processor_seconds,
            }
            for name, own in found.items()
        },
        "rank_correlation_between": {
            f"{one}, {other}": float(np.mean([rank_correlation(*pair) for pair in zip(*both, strict=True)]))
            for (one, other), both in ((names, [found[name].by_seed for name in names]) for names in combinations(found, 2))
        },
    }
    write_json(RESULTS, result)
    print(json.dumps(result, indent=2))


def rated(params: Params, pool: list[Record], dev: list[Record], method: RatingMethod) -> Rated:
    """The pool's ratings under each seed, each by dev records of its own."""
    own, ratings, passes, began = params.rate, [], [], time.process_time()
    for at, seed in enumerate(SEEDS):
        measured = dev[at * DEV_ROWS : (at + 1) * DEV_ROWS]
        regime = scoring_regime(params, seed)
        one = rate(pool, measured, model_spec(params), own.utility, regime, own.warm_rows, method=method)
        ratings.append(one.ratings)
        passes.append(float(one.metrics["token_passes"]))
    return Rated(ratings, float(np.mean(passes)), (time.process_time() - began) / len(SEEDS))


def top_shared(one: np.ndarray, other: np.ndarray) -> float:
    """What share of the best rows by one rating is among the best by the other."""
    count = round(TAKEN * len(one))
    best, others = (np.argsort(-own, kind="stable")[:count] for own in (one, other))
    return len(np.intersect1d(best, others)) / count


if __name__ == "__main__":
    main()
