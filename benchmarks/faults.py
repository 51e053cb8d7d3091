"""Does a selection leave damaged records out, and do scores tell them from sound ones?

Usage, after `make repro`: python -m benchmarks.faults. Writes benchmarks/faults.json; twenty minutes the first time.

The default pool is damaged in two ways: a fifth of all its records, by every kind of fault in turn; and every record of SIQA,
the source that the default selects from, by swapped responses and wrong options. It is embedded, clustered and scored as the
default is, but for a single metagradient pair: a cluster's score is the mean marginal of its drawn members.
Reported are the share of faulty rows in what each method selects, and the AUROC against faults of each rating, of the clusters'
scores (a record has its cluster's), and of the clusters' scores against which clusters are faulty by more than half.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.games import game_of, scoring_regime
from shed.clustering import cluster
from shed.contenders import contend
from shed.embedding import embed
from shed.faults import Fault, damage
from shed.files import write_json
from shed.marginals import of_all_records
from shed.params import Params, load_params
from shed.ratings import untuned
from shed.reading import read
from shed.records import Record, read_records
from shed.sampling import budget
from shed.scoring import draw_members
from shed.valuation.budget import Budget
from shed.valuation.metagradient import Metagradient

RESULT = "benchmarks/faults.json"
POOLS: dict[str, tuple[float, list[Fault], list[str] | None]] = {
    "a fifth of all": (0.2, ["swapped", "wrong_option", "truncated", "duplicate"], None),
    "all of SIQA": (1.0, ["swapped", "wrong_option"], ["siqa"]),
}
SAMPLERS = ("random", "qocs", "qwcs", "qocs_by_source", "qwcs_by_source", "qocs_on_random_scores")
SEEDS = (1, 2, 3, 4, 5)


def main() -> None:
    params = load_params()
    sound = read_records("data/prepared/pool.jsonl")
    result: dict[str, Any] = {}
    for name, (share, kinds, sources) in POOLS.items():
        pool, faults = damage(sound, share, kinds, sources, params.data.seed)
        result[name] = {"faulty": len(faults), "kinds": pd.Series(faults).value_counts().to_dict()} | judged(
            pool, faults, params
        )
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def judged(pool: list[Record], faults: dict[str, Fault], params: Params) -> dict[str, Any]:
    """What scores and ratings make of a damaged pool."""
    embeddings = embed(pool, params.embed.model, params.embed.batch_size)
    settings = params.cluster
    found = cluster(embeddings, params.C, settings.method, settings.proxies_per_cluster, settings.seed)
    clusters = pd.DataFrame(
        {
            "id": [record.id for record in pool],
            "source": [record.source for record in pool],
            "cluster": found.labels,
            "distance": found.distances,
            "proxy": found.proxies,
        }
    )
    with game_of(pool, clusters.assign(bystander=~found.proxies), params.score.dev_rows, scoring_regime()) as game:
        estimator = Metagradient(params.score.seed, check=False, redraw=True)
        marginals, _ = of_all_records(game, clusters, estimator, Budget(evaluations=4))
    drawn = draw_members(clusters, params.score.members, params.score.seed)
    of_cluster = pd.Series(marginals[drawn]).groupby(found.labels[drawn]).mean().reindex(range(params.C))
    of_cluster = of_cluster.fillna(pd.Series(marginals).groupby(found.labels).mean())
    scores = pd.DataFrame({"cluster": of_cluster.index, "score": of_cluster.to_numpy()})
    scores["rank"] = scores["score"].rank(ascending=False, method="first").astype(int)
    ratings = {"metagradient": marginals} | rated(pool, embeddings, params)
    signals = pd.DataFrame({"id": clusters["id"], **ratings})
    rows = budget(len(pool), params.sample.fraction, params.sample.rows)
    faulty = clusters["id"].isin(list(faults)).to_numpy()
    share_of_cluster = pd.Series(faulty).groupby(found.labels).mean()

    def kept(method: str) -> float:
        settings = params.sample
        chosen = [contend(method, clusters, scores, scores, signals, rows, settings.f, s, settings.floor) for s in SEEDS]
        return float(np.mean([np.mean([id in faults for id in ids]) for ids in chosen]))

    return {
        "faulty_share": float(faulty.mean()),
        "faulty_share_kept": {method: kept(method) for method in (*SAMPLERS, *ratings)},
        "auroc": {name: float(roc_auc_score(~faulty, own)) for name, own in ratings.items()},
        "auroc_by_fault": {
            kind: float(roc_auc_score(~own[own | ~faulty], marginals[own | ~faulty]))
            for kind in sorted(set(faults.values()))
            for own in [clusters["id"].map(faults).eq(kind).to_numpy()]
        },
        "auroc_of_cluster_scores": float(roc_auc_score(~faulty, of_cluster.to_numpy()[found.labels])),
        "faulty_clusters": int((share_of_cluster > 0.5).sum()),
        "auroc_of_clusters": of_clusters(share_of_cluster.to_numpy() > 0.5, of_cluster.to_numpy()),
    }


def rated(pool: list[Record], embeddings: np.ndarray, params: Params) -> dict[str, np.ndarray]:
    """(N,) each baseline's rating of the pool, higher is better."""
    model, embedder = params.model, (params.embed.model, params.embed.batch_size)
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    readings = read(pool, model.name, model.prompt, model.max_tokens), read(dev, model.name, model.prompt, model.max_tokens)
    ways = untuned(pool, dev, embeddings, embedder, lambda: readings, params.cluster.seed)
    return {name: rate() for name, rate in ways.items()} | {"perplexity": -readings[0].loss}


def of_clusters(faulty: np.ndarray, scores: np.ndarray) -> float | None:
    """AUROC of the clusters' scores against faulty clusters; None where all or none are."""
    return float(roc_auc_score(~faulty, scores)) if 0 < faulty.sum() < len(faulty) else None


if __name__ == "__main__":
    main()
