"""The games that the studies play: clusters of the default pool's records, on the base model, with a ledger of their own.

In: clusters or their number C, the number of dev records, and a regime. Out: an open game. The main pipeline's pool and
embeddings must be there. Evaluations are kept in .shed/studies.sqlite, so that a study that was stopped goes on.
"""

from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed.common.atomic_io import read_array, read_json
from shed.data.records import Record, read_records
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind
from shed.models.specs import LoraSettings
from shed.params import load_params
from shed.selection.clustering import cluster
from shed.valuation.proxy_game import ProxyGame, Setting, open_game
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime as regime_of_params

LEDGER = Path(".shed/studies.sqlite")
OF_LORA = {field.name for field in fields(LoraSettings)}


def pool_game(C: int, proxies_per_cluster: int, dev_rows: int, regime: Regime) -> AbstractContextManager[ProxyGame]:
    """The game of the pool in `C` clusters, whose utility is dev loss."""
    found = cluster(read_array("data/embeddings.npy"), C, "kmeans", proxies_per_cluster, seed=1)
    clusters = pd.DataFrame({"cluster": found.labels, "proxy": found.proxies})
    return game_of(read_records("data/prepared/pool.jsonl"), clusters, dev_rows, regime)


def game_of(
    pool: list[Record], clusters: pd.DataFrame, dev_rows: int | None, regime: Regime, utility: UtilityKind = "dev_loss"
) -> AbstractContextManager[ProxyGame]:
    """The game of any pool in any clusters; `dev_rows` None: on all dev records."""
    dev = read_records("data/prepared/dev.jsonl")[:dev_rows]
    setting = Setting(model_spec(load_params()), read_json("data/model.json"), utility, regime)
    return open_game(clusters, pool, dev, setting, LEDGER)


def scoring_regime(**changes: Any) -> Regime:
    """The scoring regime of params with changes of its own fields or of its LoRA settings' (`depth`, `r`, …)."""
    params = load_params()
    return changed(regime_of_params(params, params.score.seed), **changes)


def changed(regime: Regime, **changes: Any) -> Regime:
    """A regime with changes of its own fields or of its LoRA settings'."""
    lora = {name: value for name, value in changes.items() if name in OF_LORA}
    others = {name: value for name, value in changes.items() if name not in OF_LORA}
    return replace(regime, lora=replace(regime.lora, **lora), **others)


def draw_members(clusters: pd.DataFrame, each: int, seed: int) -> np.ndarray:
    """(N,) bool: in every cluster `each` random records that are not proxies, or all if there are fewer; seeded by cluster."""
    labels, proxy = clusters["cluster"].to_numpy(), clusters["proxy"].to_numpy()
    drawn = np.zeros(len(clusters), dtype=bool)
    for label in range(labels.max() + 1):
        others = np.flatnonzero((labels == label) & ~proxy)
        drawn[np.random.default_rng([seed, label]).permutation(others)[:each]] = True
    return drawn
