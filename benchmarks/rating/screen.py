"""What a screen costs in quality: how good the best rows are that a screened pool has, beside those of the whole pool.

In: ratings, lengths and embeddings of a finished run, in `data/`. Out: benchmarks/rating_screen.json. Run it by
`python -m benchmarks.rating.screen`; it takes a minute, and tunes nothing.

The tenth of the pool with the highest ratings is what `top` takes. Of a screen it is known here, as all ratings are, how many
of these rows it lets through (`found`), and the mean rating of the best tenth among what it lets through, as a share of that of
the whole pool (`mean_rating`). Beside it stand a random part of the pool of the same size, and the part nearest to dev by
embeddings. Each is the mean over some seeds; nearness to dev has no seed.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from shed.common.atomic_io import write_json
from shed.data.records import RecordFile, read_records
from shed.embedding.embedder import embed
from shed.params import load_params
from shed.selection.candidates import rated
from shed.valuation.screening import counts, drawn, promising
from stages.shared.settings.embedder import embedder_spec

RESULTS = Path(__file__).parents[1] / "rating_screen.json"
SHARES, SEEDS, TAKEN = (0.2, 0.3, 0.4, 0.5, 0.7), range(1, 6), 0.1


def main() -> None:
    params = load_params("params.yaml")
    pool = RecordFile("data/prepared/pool.jsonl")
    lengths, ratings = pd.read_parquet("data/lengths.parquet"), pd.read_parquet("data/ratings.parquet")
    by_kind = {per: rated(lengths, ratings, per)["rating"].to_numpy() for per in ("record", "token")}
    dev = read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows]
    nearness = (np.load("data/embeddings.npy", allow_pickle=False) @ embed(dev, embedder_spec(params)).vectors.T).mean(axis=1)
    tokens = lengths["response_tokens"].to_numpy()

    def screen(share: float, seed: int) -> np.ndarray:
        places = drawn(len(pool), share, seed)
        return np.union1d(places, promising(pool, share, places, by_kind["record"][places], tokens[places]))

    ways: dict[str, Callable[[float, int], np.ndarray]] = {
        "screen": screen,
        "random": lambda share, seed: np.random.default_rng(seed).permutation(len(pool))[: counts(len(pool), share)[1]],
        "near_dev": lambda share, _: np.argsort(-nearness)[: counts(len(pool), share)[1]],
    }
    found = {
        str(share): {
            way: {per: quality(own, [kept(share, seed) for seed in SEEDS]) for per, own in by_kind.items()}
            for way, kept in ways.items()
        }
        for share in SHARES
    }
    result = {"rows": len(pool), "taken": TAKEN, "seeds": len(SEEDS), "of_share_rated": found}
    write_json(RESULTS, result)
    print(json.dumps(result, indent=2))


def quality(ratings: np.ndarray, parts: list[np.ndarray]) -> dict[str, float]:
    """Of the best rows within each of these parts of the pool: the share of the pool's best, and their mean rating."""
    count = round(TAKEN * len(ratings))
    best = np.argsort(-ratings)[:count]
    chosen = [part[np.argsort(-ratings[part])[:count]] for part in parts]
    return {
        "found": float(np.mean([len(np.intersect1d(own, best)) / count for own in chosen])),
        "mean_rating": float(np.mean([ratings[own].mean() for own in chosen]) / ratings[best].mean()),
    }


if __name__ == "__main__":
    main()
