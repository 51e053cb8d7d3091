"""What rows are selected by: ratings and other values of each pool record, for a dev set, each computed when it is asked for.

In: a `Setup`. Out: a column for each signal, kept in the folder of results with what it cost, so that another machine selects
the same rows, and nothing is computed twice.
"""

import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.realistic.setup import Setup
from shed.common.atomic_io import read_array, read_json, write_array, write_json, write_table
from shed.data.records import Record
from shed.embedding.embedder import embed
from shed.models.loading import manifest
from shed.selection.clustering import cluster
from shed.selection.model_signals import ModelSignals, read
from shed.selection.signals import signals as untuned_signals
from shed.settings.models import embedder_spec
from shed.settings.regime import scoring_regime
from shed.valuation.budget import Budget
from shed.valuation.estimators.in_run import InRun
from shed.valuation.marginals import of_all_records
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import rate

COSTS = "signals.json"
POOL_ALONE = ("longest", "k_centre", "distinct", "ifd")  # signals that no dev set plays a part in


class Signals:
    """Signals of the pool.

    Args:
        results: the folder of results, where columns are kept.
        scratch: a folder for what a computation that was stopped goes on from, and for what several signals share.
    """

    def __init__(self, setup: Setup, results: Path, scratch: Path) -> None:
        self._setup, self._results, self._scratch = setup, results, scratch
        self._pool = setup.splits.pool

    def column(self, dev: str, name: str) -> np.ndarray:
        """(N,) float64 of a dev set, higher is better; one of `names`.

        Raises:
            ShedError: it cannot be computed.
        """
        dev = "any" if name in POOL_ALONE else dev
        path = self._results / "signals" / f"{dev}.{name}.parquet"
        if not path.is_file():
            compute = self._ways(dev)[name]
            before, began = time.process_time(), time.time()
            values = compute()
            self._keep_cost(f"{dev}.{name}", time.process_time() - before, time.time() - began)
            ids = [record.id for record in self._pool]
            write_table(path, pd.DataFrame({"id": ids, name: values.astype(np.float32)}))
        kept = pd.read_parquet(path).set_index("id")[name]
        return kept.reindex([record.id for record in self._pool]).to_numpy(dtype=np.float64)

    @property
    def names(self) -> list[str]:
        """`rating`, `in_run`, and those of `shed.selection.signals`."""
        return list(self._ways("any"))

    def knows(self, dev: str, name: str) -> bool:
        """True if it was computed."""
        return (self._results / "signals" / f"{'any' if name in POOL_ALONE else dev}.{name}.parquet").is_file()

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """`cluster`, `distance` and `proxy` of each pool record."""
        own = self._setup.params.cluster
        found = cluster(self._embeddings, self._setup.params.C, own.method, own.proxies_per_cluster, own.seed)
        return pd.DataFrame({"cluster": found.labels, "distance": found.distances, "proxy": found.proxies})

    def costs(self) -> dict[str, dict[str, float]]:
        """By `DEV.SIGNAL`: processor seconds and seconds. What several signals share is in the first one that needed it."""
        path = self._results / COSTS
        found: dict[str, dict[str, float]] = read_json(path) if path.is_file() else {}
        return found

    def _keep_cost(self, name: str, processor_seconds: float, seconds: float) -> None:
        own = {"processor_seconds": processor_seconds, "seconds": seconds}
        write_json(self._results / COSTS, dict(sorted({**self.costs(), name: own}.items())))

    def _ways(self, dev: str) -> dict[str, Callable[[], np.ndarray]]:
        params, rated = self._setup.params, [] if dev == "any" else self._setup.splits.rated_for(dev)

        @cache
        def readings() -> tuple[ModelSignals, ModelSignals]:
            return self._read(self._pool, "pool"), self._read(rated, dev)

        no_vectors = np.zeros((len(self._pool), 1), dtype=np.float32)
        plain = untuned_signals(self._pool, rated, no_vectors, self._embedder, readings, params.cluster.seed)

        def of_vectors(name: str) -> Callable[[], np.ndarray]:
            def compute() -> np.ndarray:
                ways = untuned_signals(self._pool, rated, self._embeddings, self._embedder, readings, params.cluster.seed)
                return ways[name]()

            return compute

        of_embeddings = {name: of_vectors(name) for name in ("cosine", "k_centre", "distinct")}
        return {**plain, **of_embeddings, "rating": lambda: self._ratings(rated), "in_run": lambda: self._in_run(rated)}

    def _ratings(self, rated: list[Record]) -> np.ndarray:
        own, setup = self._setup.params.rate, self._setup
        kept = RatedBlocks(self._scratch / "ratings", {"model": setup.manifest})
        regime = scoring_regime(setup.params.regime, own.seed)
        found = rate(self._pool, rated, setup.spec, own.utility, regime, own.warm_rows, kept, method=own.method)
        return found.ratings

    def _in_run(self, rated: list[Record]) -> np.ndarray:
        setup, clusters = self._setup, self.clusters
        clusters = clusters.assign(id=[record.id for record in self._pool], candidate=~clusters["proxy"])
        regime = scoring_regime(setup.params.regime, setup.params.score.seed)
        setting = Setting(setup.spec, setup.manifest, "dev_loss", regime)
        with open_game(clusters, self._pool, rated, setting, self._scratch / "ledger.sqlite") as game:
            return of_all_records(game, clusters, InRun(), Budget())[0]

    @cached_property
    def _embedder(self) -> Any:
        own = self._setup.params.embed
        return embedder_spec(own, manifest(own.model, "embedder").get("revision"))

    @cached_property
    def _embeddings(self) -> np.ndarray:
        path = self._scratch / "embeddings.npy"
        if not path.is_file():
            write_array(path, embed(self._pool, self._embedder).vectors)
        return read_array(path)

    def _read(self, records: list[Record], name: str) -> ModelSignals:
        """What the untuned model makes of records; it is read once."""
        paths = [self._scratch / f"{name}-{what}.npy" for what in ("loss", "loss_alone", "states", "tokens")]
        if not all(path.is_file() for path in paths):
            found = read(records, self._setup.spec)
            arrays = (found.loss, found.loss_alone, found.states, np.array([found.tokens]))
            for path, array in zip(paths, arrays, strict=True):
                write_array(path, array)
        loss, alone, states, tokens = map(read_array, paths)
        return ModelSignals(loss, alone, states, int(tokens[0]))
