"""Which clusters are worth knowing? Whether a cluster's members, and its proxy, predict the marginal of another member.

In: the default pool, its embeddings and clusters. Out: clusterings.json. `dvc --cd experiments/valuation repro clusterings`
runs it, in ten minutes the first time.

One pair of metagradient runs on the default's proxies gives the marginal of every pool record (the first pair of the
default's scores, with all other records as candidates). From these any clustering can be judged without another tuning: by
embeddings (sentence embeddings; TF-IDF, reduced to 128 dimensions; the base model's own hidden states), by method and by C.
The marginals rest on the default's proxies, whatever the clustering. They are first order, and estimates themselves: they
compare clusterings with each other, and no clustering explains a marginal's noise.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from experiments.shared.games import draw_members
from shed.common.atomic_io import read_array, write_json
from shed.data.records import Record, read_records
from shed.params import load_params
from shed.selection.clustering import Method, cluster
from shed.selection.model_signals import read
from shed.valuation.budget import Budget
from shed.valuation.estimate import rank_correlation
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.marginals import of_all_records
from stages.shared.games import scoring_game
from stages.shared.settings.model import model_spec

RESULT = "experiments/valuation/clusterings.json"
SIZES = (8, 16, 32, 64, 128, 256)
METHODS: tuple[Method, ...] = ("kmeans", "agglomerative")
MEMBERS, ROWS, SEEDS = 8, 200, (1, 2, 3, 4, 5)


def main() -> None:
    params = load_params()
    pool = read_records("data/prepared/pool.jsonl")
    clusters = pd.read_parquet("data/clusters.parquet")
    with scoring_game(params, clusters.assign(candidate=~clusters["proxy"])) as game:
        estimator = Metagradient(params.score.seed, check=False, redraw=True)
        marginals, _ = of_all_records(game, clusters, estimator, Budget(evaluations=4))
    embeddings = {
        "all-MiniLM-L6-v2": read_array("data/embeddings.npy"),
        "TF-IDF": tf_idf(pool),
        "hidden states": read(pool, model_spec(params)).states,
    }
    best = np.sort(marginals)[::-1][:ROWS].mean()
    result: dict[str, Any] = {
        "records": len(pool),
        "rows": ROWS,
        "mean_marginal_of_all": float(marginals.mean()),
        "mean_marginal_of_the_best_rows": float(best),
        "clusterings": [
            {"embeddings": name, "method": method, "C": C} | judged(rows, marginals, C, method)
            for name, rows in embeddings.items()
            for method in METHODS
            for C in SIZES
        ],
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def tf_idf(pool: list[Record]) -> np.ndarray:
    """(N, 128) unit rows."""
    counts = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(f"{one.prompt}\n{one.response}" for one in pool)
    return np.asarray(normalize(TruncatedSVD(128, random_state=1).fit_transform(counts)), dtype=np.float32)


def judged(embeddings: np.ndarray, marginals: np.ndarray, C: int, method: Method) -> dict[str, float]:
    """How well a clustering predicts marginals.

    Returns:
        `within_cluster_distance`; `others_tell`, the rank correlation of a record's marginal with the mean of its cluster's
        other members; `proxy_tells`, that of the proxies' marginals with the mean of their clusters' other members; and
        `selected`, the mean marginal of what QOCS selects when a cluster's score is the mean of 8 members drawn at random,
        averaged over five draws.
    """
    found = cluster(embeddings, C, method, 1, seed=1)
    sums, sizes = np.bincount(found.labels, weights=marginals), np.bincount(found.labels)
    several = sizes[found.labels] > 1
    others = (sums[found.labels] - marginals)[several] / (sizes[found.labels] - 1)[several]
    proxies = found.proxies[several]
    clusters = pd.DataFrame({"cluster": found.labels, "proxy": found.proxies})
    return {
        "within_cluster_distance": float(found.distances.mean()),
        "others_tell": rank_correlation(marginals[several], others),
        "proxy_tells": rank_correlation(marginals[several][proxies], others[proxies]),
        "selected": float(np.mean([selected(clusters, found.distances, marginals, seed) for seed in SEEDS])),
    }


def selected(clusters: pd.DataFrame, distances: np.ndarray, marginals: np.ndarray, seed: int) -> float:
    """The mean marginal of the rows that QOCS takes; a cluster that is its proxy alone has the proxy's."""
    labels = clusters["cluster"].to_numpy()
    drawn = draw_members(clusters, MEMBERS, seed)
    alone = np.bincount(labels, weights=drawn) == 0
    drawn |= alone[labels]
    scores = np.bincount(labels[drawn], weights=marginals[drawn]) / np.bincount(labels[drawn])
    order = np.lexsort((distances, labels, -scores[labels]))
    return float(marginals[order[:ROWS]].mean())


if __name__ == "__main__":
    main()
