"""Length is not value: four ways to select by ratings, for rows and for response tokens, on dev records that no rating used.

In: what `prepare`, `lengths` and `rate` made of a pool, and its name. Out: lengths.json, with an entry for each pool.
`python -m experiments.lengths NAME` runs it. It makes up to 36 runs, each a tuning and an evaluation.

The budget is `sample.fraction` of the pool's rows, or of its response tokens; ratings are of whole records, or of their
response tokens. Ratings use the first `rate.dev_rows` records of dev, and models are evaluated on the others, so that neither
they nor test played a part. Each selection is compared with random rows of the same number, and with random rows that have as
many response tokens, under three seeds. Runs go through the verdict's ledger of runs.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from shed.common.atomic_io import read_json, write_json
from shed.common.errors import ShedError
from shed.data.records import Record, read_records
from shed.evaluation.comparison import compare
from shed.params import Params, load_params
from shed.selection.candidates import Per, candidates
from shed.selection.controls import random_rows, random_tokens
from shed.selection.sampling import Size, Unit, budget, select
from shed.valuation.estimate import rank_correlation
from stages import command
from stages.shared.runs import items_of, run_ledger
from stages.shared.settings.model import model_spec

RESULT, SEEDS = Path("experiments/selection/lengths.json"), (1, 2, 3)
ABOUT = (
    "Compare budgets in rows and in response tokens, by ratings of records and of tokens, after `dvc repro`. Up to 36 runs are "
    "made, each a tuning and an evaluation by loss, on the dev records that no rating used: there must be some."
)
SCORES = pd.DataFrame({"cluster": [0], "score": [0.0], "rank": [1]})  # sampler `top` looks at none


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.lengths", description=ABOUT)
    parser.add_argument("name", help=f"what the pool is called in {RESULT}; an entry of this name is replaced")
    name = parser.parse_args().name
    found = {name: study(load_params())}
    write_json(RESULT, (read_json(RESULT) if RESULT.exists() else {}) | found)
    print(json.dumps(found, indent=2))


def study(params: Params) -> dict[str, Any]:
    """Four selections of the pool that is there.

    Raises:
        ShedError: ratings used all of dev, or there are none, or the budget is no share of the pool.
    """
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")
    others, fraction = dev[params.rate.dev_rows :] if params.rate.dev_rows else [], params.sample.fraction
    if not others:
        raise ShedError(f"ratings used all {len(dev)} records of dev; set rate.dev_rows to fewer")
    if fraction is None or not params.rate.warm_rows:
        raise ShedError("the study needs ratings, and a share of the pool: set rate.warm_rows and sample.fraction")
    lengths = pd.read_parquet("data/lengths.parquet")
    ratings = pd.read_parquet("data/ratings.parquet").set_index("id").loc[lengths["id"]].reset_index()
    clusters = pd.DataFrame({"id": lengths["id"], "source": "pool", "cluster": 0, "distance": 0.0})
    silent = params.evaluate.written.model_copy(update={"limit": 0})  # losses alone are compared
    evaluation = params.evaluate.model_copy(update={"limit": None, "written": silent})
    params = params.model_copy(update={"evaluate": evaluation})
    ledger = run_ledger(params, model_spec(params), {"dev": others}, [])
    by_id = {record.id: record for record in pool}
    ways: dict[str, Any] = {}
    for unit, per in product(get_args(Unit), get_args(Per)):
        table = candidates(clusters, lengths, ratings, per, params.sample.too_long)
        size = budget(int(Size(0, unit).costs(table).sum()), fraction, None, unit)
        own = [by_id[id] for id in select(table, SCORES, "top", size, 0.0, 0)["id"]]
        costs = table.set_index("id")["response_tokens"]
        tokens = int(costs[[record.id for record in own]].sum())
        there = [by_id[id] for id in table["id"]]
        controls: dict[str, list[list[Record]]] = {
            "random_rows": [random_rows(there, len(own), seed) for seed in SEEDS],
            "random_tokens": [random_tokens(there, costs.to_numpy(), tokens, seed) for seed in SEEDS],
        }
        items = {name: items_of(ledger, rows, SEEDS, f"{unit}, per {per}: {name}") for name, rows in controls.items()}
        selected = items_of(ledger, [own] * len(SEEDS), SEEDS, f"{unit}, per {per}: selection")
        ways[f"{unit}, per {per}"] = {
            "rows": len(own),
            "response_tokens": tokens,
            "gains": {name: gain(selected, of_control) for name, of_control in items.items()},
        }
    values, tokens_of = ratings["rating"].to_numpy(), lengths["response_tokens"].to_numpy(dtype=float)
    return {
        "rows": len(pool),
        "too_long": int(lengths["too_long"].sum()),
        "response_tokens_mean": float(tokens_of.mean()),
        "model": params.model.name,
        "fraction": fraction,
        "rated_by": len(dev) - len(others),
        "dev_items": len(others),
        "seeds": len(SEEDS),
        "rating_with_length": rank_correlation(values, tokens_of),
        "size_of_rating_with_length": rank_correlation(np.abs(values), tokens_of),
        "ways": ways,
    }


def gain(selected: pd.DataFrame, control: pd.DataFrame) -> dict[str, float]:
    """In loss on dev, with the ends of its 95 % interval."""
    both = pd.concat([selected.assign(method="selection"), control.assign(method="control")]).assign(fraction=1.0)
    row = compare(both, "dev", "control").set_index("method").to_dict("index")["selection"]
    return {"gain": row["loss_gain"], "low": row["loss_gain_low"], "high": row["loss_gain_high"]}


if __name__ == "__main__":
    command(main)
