"""Does a selection leave damaged records out, and do ratings and scores tell them from sound ones?

In: the default pool, its clusters and dev. Out: faults.json. `dvc --cd experiments/selection repro faults` runs it, in a
quarter of an hour the first time.

The default pool is damaged in three ways: in half of its clusters, drawn at random, every record has another's response; a
fifth of all records is damaged by every kind of fault in turn; and in all of SIQA, the source most like dev, responses are
swapped. Each damaged pool is embedded, clustered, rated and scored as by default. The results are the share of faulty rows
in what each method selects, the AUROC of each rating of records against faults, and the AUROC of the clusters' scores
against the clusters that are faulty by more than half.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from experiments.shared.by_ratings import F, scores_by_ratings
from shed.common.atomic_io import write_json
from shed.data.faults import Fault, damage
from shed.data.records import Record, read_records
from shed.embedding.embedder import embed
from shed.params import Params, load_params
from shed.selection.clustering import cluster
from shed.selection.contenders import contend
from shed.selection.model_signals import read
from shed.selection.sampling import budget
from shed.selection.signals import signals
from shed.valuation.ratings import rate
from stages.shared.settings.embedder import embedder_spec
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

RESULT = "experiments/selection/faults.json"
EVERY_KIND: list[Fault] = ["swapped", "wrong_option", "truncated", "duplicate"]
SAMPLERS = ("random", "top", "qocs", "qwcs", "top_by_source", "qocs_by_source", "qocs_on_random_scores")
SEEDS = (1, 2, 3, 4, 5)


def main() -> None:
    params = load_params()
    sound, labels = read_records("data/prepared/pool.jsonl"), pd.read_parquet("data/clusters.parquet")["cluster"].to_numpy()
    seed = params.data.seed
    half = np.random.default_rng(seed).permutation(params.C)[: params.C // 2]
    pools = {
        "half of the clusters, swapped": in_clusters(sound, np.isin(labels, half), seed),
        "a fifth of all, every kind": damage(sound, 0.2, EVERY_KIND, None, seed),
        "all of SIQA, swapped": damage(sound, 1.0, ["swapped"], ["siqa"], seed),
    }
    result: dict[str, Any] = {}
    for name, (pool, faults) in pools.items():
        result[name] = {"faulty": len(faults), "kinds": pd.Series(faults).value_counts().to_dict()} | judged(
            pool, faults, params
        )
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def in_clusters(pool: list[Record], chosen: np.ndarray, seed: int) -> tuple[list[Record], dict[str, Fault]]:
    """The pool with the responses of the chosen records (N,) bool swapped among them, and the fault of each."""
    damaged, faults = damage([pool[i] for i in np.flatnonzero(chosen)], 1.0, ["swapped"], None, seed)
    whole = list(pool)
    for place, record in zip(np.flatnonzero(chosen), damaged, strict=True):
        whole[place] = record
    return whole, faults


def judged(pool: Sequence[Record], faults: dict[str, Fault], params: Params) -> dict[str, Any]:
    """What ratings, scores and baselines make of a damaged pool."""
    embeddings = embed(pool, embedder_spec(params)).vectors
    own, settings = params.cluster, params.rate
    found = cluster(embeddings, params.C, own.method, own.proxies_per_cluster, own.seed)
    dev = read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    regime = scoring_regime(params, settings.seed)
    rating = rate(pool, dev, model_spec(params), settings.utility, regime, settings.warm_rows, method=settings.method).ratings
    clusters = pd.DataFrame(
        {
            "id": [record.id for record in pool],
            "source": [record.source for record in pool],
            "cluster": found.labels,
            "distance": found.distances,
            "rating": rating,
        }
    )
    scores = scores_by_ratings(clusters)
    means = scores.sort_values("cluster")["score"].to_numpy()
    ratings = {"rating": rating} | signals_of(pool, embeddings, params)
    columns = pd.DataFrame({"id": clusters["id"], **ratings})
    rows = budget(len(pool), params.sample.fraction, params.sample.rows).amount
    faulty = clusters["id"].isin(list(faults)).to_numpy()
    share_of_cluster = pd.Series(faulty).groupby(found.labels).mean().to_numpy()

    def kept(method: str) -> float:
        floor = params.sample.floor
        chosen = [contend(method, clusters, scores, clusters["rating"], columns, rows, F, s, floor) for s in SEEDS]
        return float(np.mean([np.mean([id in faults for id in ids]) for ids in chosen]))

    return {
        "faulty_share": float(faulty.mean()),
        "faulty_share_kept": {method: kept(method) for method in (*SAMPLERS, *ratings) if method != "rating"},
        "auroc": {name: float(roc_auc_score(~faulty, values)) for name, values in ratings.items()},
        "auroc_by_fault": {
            kind: float(roc_auc_score(~of_kind[of_kind | ~faulty], rating[of_kind | ~faulty]))
            for kind in sorted(set(faults.values()))
            for of_kind in [clusters["id"].map(faults).eq(kind).to_numpy()]
        },
        "auroc_of_cluster_scores": float(roc_auc_score(~faulty, means[found.labels])),
        "faulty_clusters": int((share_of_cluster > 0.5).sum()),
        "auroc_of_clusters": of_clusters(share_of_cluster > 0.5, means),
        "mean_rating": {
            f"{source}, {'faulty' if bad else 'sound'}": float(values.mean())
            for (source, bad), values in clusters["rating"].groupby([clusters["source"], faulty])
        },
    }


def signals_of(pool: Sequence[Record], embeddings: np.ndarray, params: Params) -> dict[str, np.ndarray]:
    """(N,) each baseline's signal for the pool, higher is better."""
    spec, embedder = model_spec(params), embedder_spec(params)
    dev = read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    readings = read(pool, spec), read(dev, spec)
    ways = signals(pool, dev, embeddings, embedder, lambda: readings, params.cluster.seed)
    return {name: rate() for name, rate in ways.items()} | {"perplexity": -readings[0].loss}


def of_clusters(faulty: np.ndarray, scores: np.ndarray) -> float | None:
    """AUROC of the clusters' scores against faulty clusters; None where all or none are."""
    return float(roc_auc_score(~faulty, scores)) if 0 < faulty.sum() < len(faulty) else None


if __name__ == "__main__":
    main()
