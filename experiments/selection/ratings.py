"""By what should records be rated? Selections by several kinds of ratings, on dev records that no rating used.

In: the pool, dev, and the comparison's signals. Out: ratings.json. `dvc --cd experiments/selection repro ratings` runs it,
in an hour the first time.

Ratings use the first `rate.dev_rows` records of dev; models are evaluated on all others, so neither they nor test played a
part in a choice. The tenth with the highest ratings is tuned on under several seeds, and compared with random rows.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import zscore

from experiments.shared.runs import tuned_items
from shed.common.atomic_io import write_json
from shed.data.records import Record, read_records
from shed.evaluation.comparison import compare
from shed.params import Params, load_params
from shed.selection.sampling import budget
from shed.valuation.estimate import rank_correlation
from shed.valuation.ratings import rate
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

RESULT = "experiments/selection/ratings.json"
SEEDS = (1, 2, 3)
MADE: dict[str, dict[str, Any]] = {
    "choice loss, the default": {},
    "choice loss, another start": {"seed": 2},
    "dev loss": {"utility": "dev_loss"},
    "dev loss, a start of 32 rows": {"utility": "dev_loss", "warm_rows": 32},
    "choice loss, along the warm start": {"method": "in_run"},
    "dev loss, along the warm start": {"method": "in_run", "utility": "dev_loss"},
    "choice loss, at the ends of epochs": {"method": "checkpoints"},
}


def main() -> None:
    params = load_params()
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")
    rated_by, others = dev[: params.rate.dev_rows], dev[params.rate.dev_rows :]
    ratings: dict[str, np.ndarray] = {}
    for name, changes in MADE.items():
        ratings[name] = rated(params, changes, pool, rated_by)
    default, dev_loss = ratings["choice loss, the default"], ratings["dev loss"]
    ratings["choice loss, two starts"] = default + ratings["choice loss, another start"]
    ratings["choice loss and dev loss, in units of their deviations"] = zscore(default) + zscore(dev_loss)
    ratings["choice loss, given the better half"] = given_the_better_half(params, pool, rated_by, default)
    ratings["in-run effects on dev loss"] = pd.read_parquet("experiments/compare/signals.parquet")["in_run"].to_numpy()
    ids = np.array([record.id for record in pool])
    rows = budget(len(ids), params.sample.fraction, params.sample.rows).amount
    chosen = {name: ids[np.argsort(-own, kind="stable")[:rows]].tolist() for name, own in ratings.items()}
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": None})})
    found = []
    for seed in SEEDS:
        drawn = ids[np.random.default_rng(seed).permutation(len(ids))[:rows]].tolist()
        for name, own in {"random": drawn, **chosen}.items():
            items = tuned_items(params, model_spec(params), own, seed, {"dev": others})
            found.append(items.assign(method=name, fraction=params.sample.fraction, seed=seed))
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


def rated(params: Params, changes: dict[str, Any], pool: list[Record], dev: list[Record]) -> np.ndarray:
    """(N,) ratings of the pool, with changes of `rate`'s params."""
    settings = params.rate.model_copy(update=changes)
    regime = scoring_regime(params, settings.seed)
    of = (pool, dev, model_spec(params), settings.utility, regime, settings.warm_rows)
    return rate(*of, method=settings.method).ratings


def given_the_better_half(params: Params, pool: list[Record], dev: list[Record], ratings: np.ndarray) -> np.ndarray:
    """Ratings whose warm start is the better half of a selection, which keeps its place above all others.

    `rate` draws the rows of its warm start by its seed, so the pool is arranged for it to draw these.
    """
    half = budget(len(pool), params.sample.fraction, params.sample.rows).amount // 2
    best_first = np.argsort(-ratings, kind="stable")
    drawn = np.random.default_rng(params.rate.seed).permutation(len(pool))
    arranged = np.empty(len(pool), dtype=int)
    arranged[drawn] = best_first
    found = np.empty(len(pool))
    found[arranged] = rated(params, {"warm_rows": half}, [pool[i] for i in arranged], dev)
    found[best_first[:half]] += np.ptp(found)
    return found


if __name__ == "__main__":
    main()
