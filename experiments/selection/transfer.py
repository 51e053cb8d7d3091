"""Does a selection made with one model serve another? A matrix of the models that rate and the models that are tuned.

Usage, after `make repro`: python -m experiments.selection.transfer. Writes experiments/selection/transfer.json; half an hour the first time.

The pool is rated with the packaged model at full depth (the default's ratings) and in its top four layers, and with Gemma 3
270M, another architecture from the package index (`experiments.shared.second_model`). The tenth with the highest ratings is selected by
each. The packaged model and Gemma are tuned on it, and on random rows, under three seeds, and evaluated as the final model is.
Evaluated items are kept in .shed/runs.
"""

import json
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.runs import test_items
from experiments.shared.second_model import gemma
from shed.evaluation.comparison import compare
from shed.evaluation.lm_evaluation import headline, summarise
from shed.common.atomic_io import write_json
from shed.params import Params, load_params
from shed.data.records import read_records
from shed.selection.sampling import budget
from shed.valuation.estimate import rank_correlation
from stages.rate import rate_as_asked

RESULT = "experiments/selection/transfer.json"
SEEDS = (1, 2, 3)
TOP = {"depth": 4, "lr": 0.004}


def main() -> None:
    params = load_params()
    packaged, second = params.model.name, gemma()
    ratings = {
        "packaged, all layers": pd.read_parquet("data/ratings.parquet").set_index("id")["rating"],
        "packaged, top 4 layers": rated(params, packaged, TOP),
        "Gemma 3 270M, all layers": rated(params, second, {}),
    }
    ids = ratings["packaged, all layers"].index
    rows = budget(len(ids), params.sample.fraction, params.sample.rows)
    chosen = {name: own.nlargest(rows).index.tolist() for name, own in ratings.items()}
    pairs = list(combinations(ratings, 2))
    result: dict[str, Any] = {
        "seeds": SEEDS,
        "ratings_agree": {
            f"{one} / {other}": rank_correlation(ratings[one].to_numpy(), ratings[other][ratings[one].index].to_numpy())
            for one, other in pairs
        },
        "rows_shared": {f"{one} / {other}": len(set(chosen[one]) & set(chosen[other])) for one, other in pairs},
        "tuned": {},
    }
    for target, model in {"packaged": packaged, "Gemma 3 270M": second}.items():
        untuned = headline(summarise(test_items(params, model, None, 0)))
        items = []
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).permutation(ids)[:rows].tolist()
            for name, own in {"random": drawn, **chosen}.items():
                items.append(test_items(params, model, own, seed).assign(method=name, fraction=0.1, seed=seed))
        table = compare(pd.concat(items), "test", "random")
        result["tuned"][target] = {"untuned": untuned, "selections": json.loads(table.to_json(orient="records"))}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def rated(params: Params, model: str, changes: dict[str, Any]) -> pd.Series:
    """Each pool record's rating as the default makes it, with another model or regime."""
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    score = params.score.model_copy(update={"tuning": params.score.tuning.model_copy(update=changes)})
    asked = params.model_copy(update={"model": params.model.model_copy(update={"name": model}), "score": score})
    return pd.Series(rate_as_asked(asked, pool, dev).ratings, index=[record.id for record in pool])


if __name__ == "__main__":
    main()
