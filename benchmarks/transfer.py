"""Does a selection made with one model serve another? A matrix of the models that score and the models that are tuned.

Usage, after `make repro`: python -m benchmarks.transfer. Writes benchmarks/transfer.json; half an hour the first time.

The pool's clusters are scored with the packaged model at full depth (the default's scores) and in its top four layers, and with
Gemma 3 270M, another architecture from the package index (`benchmarks.second_model`). QOCS selects a tenth by each. The
packaged model and Gemma are tuned on it, and on random rows, under three seeds, and evaluated as the final model is. Evaluated
items are kept in .shed/transfer.
"""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.second_model import gemma
from shed.comparison import compare
from shed.evaluation import evaluate, headline, summarise
from shed.files import read_json, write_json, write_table
from shed.finetuning import TuningSettings, finetune
from shed.models import manifest
from shed.params import Params, load_params
from shed.proxy_game import Setting, open_game
from shed.records import read_records
from shed.sampling import budget, select
from shed.scoring import draw_members, score_clusters
from shed.valuation.budget import Budget
from shed.valuation.estimate import rank_correlation
from shed.valuation.metagradient import Metagradient
from shed.valuation.training import Regime

RESULT, LEDGER, KEPT = "benchmarks/transfer.json", Path(".shed/benchmarks.sqlite"), Path(".shed/transfer")
SEEDS = (1, 2, 3)
TOP = {"depth": 4, "lr": 0.004}


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    packaged, second = params.model.name, gemma()
    scores = {
        "packaged, all layers": pd.read_parquet("data/scores.parquet"),
        "packaged, top 4 layers": scored(params, clusters, packaged, TOP),
        "Gemma 3 270M, all layers": scored(params, clusters, second, {}),
    }
    rows = budget(len(clusters), params.sample.fraction, params.sample.rows)
    chosen = {name: select(clusters, own, "qocs", rows, params.sample.f, 1)["id"].tolist() for name, own in scores.items()}
    by_cluster = {name: own.sort_values("cluster")["score"].to_numpy() for name, own in scores.items()}
    result: dict[str, Any] = {
        "seeds": SEEDS,
        "scores_agree": {
            f"{one} / {other}": rank_correlation(by_cluster[one], by_cluster[other])
            for one in scores
            for other in scores
            if one < other
        },
        "rows_shared": {
            f"{one} / {other}": len(set(chosen[one]) & set(chosen[other])) for one in chosen for other in chosen if one < other
        },
        "tuned": {},
    }
    for target, model in {"packaged": packaged, "Gemma 3 270M": second}.items():
        untuned = headline(summarise(evaluated(params, model, None, 0)))
        items = []
        for seed in SEEDS:
            drawn = select(clusters, scores["packaged, all layers"], "random", rows, params.sample.f, seed)["id"].tolist()
            for name, ids in {"random": drawn, **chosen}.items():
                items.append(evaluated(params, model, ids, seed).assign(method=name, fraction=0.1, seed=seed))
        table = compare(pd.concat(items), "test", "random", seed=1)
        result["tuned"][target] = {"untuned": untuned, "selections": json.loads(table.to_json(orient="records"))}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def scored(params: Params, clusters: pd.DataFrame, model: str, changes: dict[str, Any]) -> pd.DataFrame:
    """The clusters' scores as the default makes them, with another model or regime."""
    score = params.score
    aside = draw_members(clusters, score.members, score.seed)
    regime = Regime(**(score.tuning.model_dump() | {"seed": score.seed} | changes))
    known = manifest(model, "language model")
    setting = Setting(model, known, params.model.prompt, params.model.max_tokens, score.utility, regime)
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: score.dev_rows]
    with open_game(clusters.assign(bystander=aside), pool, dev, setting, LEDGER) as game:
        estimator = Metagradient(score.seed, check=False, redraw=score.redraw)
        sizes = np.bincount(clusters["cluster"])
        return score_clusters(game, estimator, Budget(evaluations=6), "stop", sizes, params.model.max_tokens).table


def evaluated(params: Params, model: str, ids: list[str] | None, seed: int) -> pd.DataFrame:
    """The items of a model that was tuned on these records under a seed, or of the untuned one; kept."""
    asked = [model, ids, seed, params.finetune.model_dump(), params.evaluate.model_dump(), read_json("data/model.json")]
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
