"""The games that the benchmarks play: clusters of the default pool's real records, on the packaged model and a ledger.

In: C, proxies per cluster, dev records and a regime. Out: an open game. Needs `make repro` once, for the pool and its
embeddings; evaluations are kept in .shed/benchmarks.sqlite, so that a benchmark that was stopped goes on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from shed.selection.clustering import cluster
from shed.common.atomic_io import read_array, read_json
from shed.params import load_params
from shed.valuation.proxy_game import ProxyGame, Setting, open_game
from shed.data.records import Record, read_records
from shed.engine.coalition_trainer import Regime
from shed.engine.utility import Kind

LEDGER = Path(".shed/benchmarks.sqlite")


@contextmanager
def pool_game(C: int, proxies_per_cluster: int, dev_rows: int, regime: Regime) -> Iterator[ProxyGame]:
    """The pool in `C` clusters, played by their proxies in a regime, utility being dev loss."""
    found = cluster(read_array("data/embeddings.npy"), C, "kmeans", proxies_per_cluster, seed=1)
    clusters = pd.DataFrame({"cluster": found.labels, "proxy": found.proxies})
    with game_of(read_records("data/prepared/pool.jsonl"), clusters, dev_rows, regime) as game:
        yield game


@contextmanager
def game_of(
    pool: list[Record], clusters: pd.DataFrame, dev_rows: int | None, regime: Regime, utility: Kind = "dev_loss"
) -> Iterator[ProxyGame]:
    """Any pool in any clusters, played in the same way."""
    params, dev = load_params(), read_records("data/prepared/dev.jsonl")[:dev_rows]
    setting = Setting(
        params.model.name,
        read_json("data/model.json"),
        params.model.prompt,
        params.model.max_tokens,
        utility,
        regime,
    )
    with open_game(clusters, pool, dev, setting, LEDGER) as game:
        yield game


def scoring_regime(**changes: object) -> Regime:
    """The default pipeline's scoring regime with some of its fields changed."""
    params = load_params()
    return Regime(**(params.score.tuning.model_dump() | {"seed": params.score.seed} | changes))


def draw_members(clusters: pd.DataFrame, each: int, seed: int) -> np.ndarray:
    """(N,) bool: in every cluster `each` random records that are no proxies, or all that it has; seeded by cluster."""
    labels, proxy = clusters["cluster"].to_numpy(), clusters["proxy"].to_numpy()
    drawn = np.zeros(len(clusters), dtype=bool)
    for label in range(labels.max() + 1):
        others = np.flatnonzero((labels == label) & ~proxy)
        drawn[np.random.default_rng([seed, label]).permutation(others)[:each]] = True
    return drawn
