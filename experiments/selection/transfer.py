"""Does a selection made with one model serve another? A matrix of the models that rate and the models that are tuned.

In: the pool, its ratings, dev and test. Out: transfer.json. `dvc --cd experiments/selection repro transfer` runs it, in
half an hour the first time.

The pool is rated with the packaged model at full depth (the default's ratings) and in its top four layers, and with Gemma 3
270M, another architecture from the package index (`experiments.shared.second_model`). Each selects the tenth with the
highest ratings. The packaged model and Gemma are tuned on it, and on random rows, under three seeds, and evaluated as the
final model is.
"""

import json
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.games import changed
from experiments.shared.runs import tuned_items
from experiments.shared.second_model import gemma
from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.evaluation.comparison import compare
from shed.evaluation.summaries import headline, summarise
from shed.models.specs import ModelSpec
from shed.params import Params, load_params
from shed.selection.sampling import budget
from shed.valuation.estimate import rank_correlation
from shed.valuation.ratings import rate
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

RESULT = "experiments/selection/transfer.json"
SEEDS = (1, 2, 3)
TOP = {"depth": 4, "lr": 0.004}


def main() -> None:
    params = load_params()
    packaged = model_spec(params)
    second = replace(packaged, name=gemma(), revision=None, folder=None)
    ratings = {
        "packaged, all layers": pd.read_parquet("data/ratings.parquet").set_index("id")["rating"],
        "packaged, top 4 layers": rated(params, packaged, TOP),
        "Gemma 3 270M, all layers": rated(params, second, {}),
    }
    ids = ratings["packaged, all layers"].index
    rows = budget(len(ids), params.sample.fraction, params.sample.rows).amount
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
    test = {"test": read_records("data/prepared/test.jsonl")}
    for target, spec in {"packaged": packaged, "Gemma 3 270M": second}.items():
        untuned = headline(summarise(tuned_items(params, spec, None, 0, test)))
        items = []
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).permutation(ids)[:rows].tolist()
            for name, own in {"random": drawn, **chosen}.items():
                items.append(tuned_items(params, spec, own, seed, test).assign(method=name, fraction=0.1, seed=seed))
        table = compare(pd.concat(items), "test", "random")
        result["tuned"][target] = {"untuned": untuned, "selections": json.loads(table.to_json(orient="records"))}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def rated(params: Params, spec: ModelSpec, changes: dict[str, Any]) -> pd.Series:
    """Each pool record's rating as the default makes it, with another model or regime."""
    settings, regime = params.rate, changed(scoring_regime(params, params.rate.seed), **changes)
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    ratings = rate(pool, dev, spec, settings.utility, regime, settings.warm_rows, method=settings.method).ratings
    return pd.Series(ratings, index=[record.id for record in pool])


if __name__ == "__main__":
    main()
