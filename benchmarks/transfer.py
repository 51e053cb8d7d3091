"""Does a selection made with one model serve another? A matrix of the models that rate and the models that are tuned.

Usage, after `make repro`: python -m benchmarks.transfer. Writes benchmarks/transfer.json; half an hour the first time.

The pool is rated with the packaged model at full depth (the default's ratings) and in its top four layers, and with Gemma 3
270M, another architecture from the package index (`benchmarks.second_model`). The tenth with the highest ratings is selected by
each. The packaged model and Gemma are tuned on it, and on random rows, under three seeds, and evaluated as the final model is.
Evaluated items are kept in .shed/transfer.
"""

import hashlib
import json
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.second_model import gemma
from shed import evaluation, finetuning
from shed.comparison import compare
from shed.evaluation import evaluate, headline, summarise
from shed.files import read_json, write_json, write_table
from shed.finetuning import TuningSettings, finetune
from shed.params import Params, load_params
from shed.proxy_game import code_digest
from shed.rating import rate
from shed.records import read_records
from shed.sampling import budget
from shed.valuation.estimate import rank_correlation
from shed.valuation.training import Regime

RESULT, KEPT = "benchmarks/transfer.json", Path(".shed/transfer")
CODE = [code_digest(Path(str(module.__file__))) for module in (evaluation, finetuning)]
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
        untuned = headline(summarise(evaluated(params, model, None, 0)))
        items = []
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).permutation(ids)[:rows].tolist()
            for name, own in {"random": drawn, **chosen}.items():
                items.append(evaluated(params, model, own, seed).assign(method=name, fraction=0.1, seed=seed))
        table = compare(pd.concat(items), "test", "random", seed=1)
        result["tuned"][target] = {"untuned": untuned, "selections": json.loads(table.to_json(orient="records"))}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def rated(params: Params, model: str, changes: dict[str, Any]) -> pd.Series:
    """Each pool record's rating as the default makes it, with another model or regime."""
    asked, own = params.rate, params.model
    regime = Regime(**(params.score.tuning.model_dump() | {"seed": asked.seed} | changes))
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: asked.dev_rows]
    found = rate(pool, dev, model, own.prompt, own.max_tokens, asked.utility, regime, asked.warm_rows)
    return pd.Series(found.ratings, index=[record.id for record in pool])


def evaluated(params: Params, model: str, ids: list[str] | None, seed: int) -> pd.DataFrame:
    """The items of a model that was tuned on these records under a seed, or of the untuned one; kept."""
    asked = [CODE, model, ids, seed, params.finetune.model_dump(), params.evaluate.model_dump(), read_json("data/model.json")]
    path = KEPT / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    form, max_tokens = params.model.prompt, params.model.max_tokens
    with TemporaryDirectory() as folder:
        adapter = None
        if ids is not None:
            adapter = Path(folder) / "adapter"
            settings = TuningSettings(**params.finetune.model_dump() | {"seed": seed})
            finetune([pool[id] for id in ids], model, form, max_tokens, settings, adapter, "transfer")
        test, limit = read_records("data/prepared/test.jsonl"), params.evaluate.limit
        items = evaluate(model, adapter, {"test": test}, form, max_tokens, limit, params.evaluate.batch_size, [])
    KEPT.mkdir(parents=True, exist_ok=True)
    write_table(path, items)
    return items


if __name__ == "__main__":
    main()
