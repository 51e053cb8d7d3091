"""Scores, ratings, embeddings and runs under Ray are those of one process, to the last bit, though a node is lost half-way and one joins."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_regime import REGIME

from shed.data.records import Record
from shed.embedding import blocks
from shed.embedding.blocks import embed_to
from shed.embedding.embedder import Embedder
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.models.specs import EmbedderSpec, LoraSettings, ModelSpec
from shed.tuning.finetuning import TuningSettings
from shed.valuation import ratings
from shed.valuation.game import Run
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import Ratings, rate
from shed.workers.contract import Engine, Load
from shed.workers.ray_engine import RayEngine, RayWorkers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


class NodeIsLost(RayEngine):
    """The engine of a cluster that loses its older node when so many calls are answered, and is given another one."""

    def __init__(self, cluster: Any, after: int) -> None:
        super().__init__(cluster.address)
        self._cluster, self._left = cluster, after

    @contextmanager
    def holding(self, load: Load) -> Iterator[Any]:
        with super().holding(load) as workers:
            yield Watched(workers, self._answered)

    def _answered(self) -> None:
        self._left -= 1
        if self._left == 0:
            older = next(node for node in self._cluster.list_all_nodes() if node is not self._cluster.head_node)
            self._cluster.remove_node(older, allow_graceful=False)  # killed, with what it was at
            self._cluster.add_node(num_cpus=1)


class Watched:
    """Workers whose answers are counted."""

    def __init__(self, workers: RayWorkers, answered: Callable[[], None]) -> None:
        self._answered = answered
        self._each, self.ask, self.shared = workers.each, workers.ask, workers.shared

    def each(self, method: str, arguments: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
        for found in self._each(method, arguments):
            yield found
            self._answered()


def test_coalitions_are_tuned_once_each_and_as_in_one_process(
    cluster: Any, tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    clusters = pd.DataFrame({"id": [one.id for one in records[:8]], "cluster": range(8), "proxy": True})
    setting = Setting(ModelSpec(tiny_model, "plain", 200), {"name": "tiny"}, "dev_loss", REGIME)
    coalitions, run = np.unique(np.random.default_rng(0).random((60, 8)) < 0.5, axis=0), Run("metagradient", 1)

    def played(name: str, engine: Engine | None) -> tuple[list[float], list[Any], str, int, float]:
        with open_game(clusters, records[:8], records[8:], setting, tmp_path / name, engine) as game:
            utilities = [found.utility for found in game.play.find_or_evaluate(coalitions)]
            marginals = [found.marginals for found in game.play.find_or_evaluate(coalitions[:4] * 0.5, run)]
            return utilities, marginals, game.play.key, game.play.new, game.play.price(coalitions[0], run)

    own = played("own.sqlite", None)
    given_out = played("given_out.sqlite", NodeIsLost(cluster, after=3))
    assert given_out[0] == own[0]
    np.testing.assert_array_equal(given_out[1], own[1])
    assert given_out[2:] == own[2:]  # the same game, as many evaluations, at the same price
    assert own[3] == len(coalitions) + 4
    with sqlite3.connect(tmp_path / "given_out.sqlite") as connection:
        kept = connection.execute("SELECT count(*), count(DISTINCT coalition) FROM evaluations").fetchone()
    assert kept == (own[3], own[3])
    assert played("given_out.sqlite", None)[3] == 0  # and one process finds them all


def test_blocks_are_rated_as_in_one_process(
    cluster: Any, tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 2)
    blocks: list[int] = []
    keep = RatedBlocks.keep_block
    monkeypatch.setattr(RatedBlocks, "keep_block", lambda *own: (blocks.append(len(own[1])), keep(*own)))

    def rated(engine: Engine | None) -> Ratings:
        kept, model = RatedBlocks(tmp_path / str(engine is None), {}), ModelSpec(tiny_model, "plain", 200)
        return rate(records[:9], records[9:], model, None, REGIME, 6, kept, engine=engine)

    own, given_out = rated(None), rated(NodeIsLost(cluster, after=3))
    np.testing.assert_array_equal(given_out.ratings, own.ratings)
    assert given_out.ids == own.ids
    assert {**given_out.metrics, "seconds": 0} == {**own.metrics, "seconds": 0}
    assert sorted(blocks) == sorted([2, 2, 2, 2, 1] * 2)


def test_blocks_are_embedded_as_in_one_process(
    cluster: Any, tiny_embedder: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 2)
    spec, files = EmbedderSpec(tiny_embedder, 4), {name: tmp_path / f"{name}.npy" for name in ("own", "given_out")}
    counts = embed_to(files["own"], records, spec, {}, tmp_path / "kept")
    monkeypatch.setattr(Embedder, "embed", lambda *_: pytest.fail("the driver embeds"))
    assert embed_to(files["given_out"], records, spec, {}, tmp_path / "kept", NodeIsLost(cluster, after=2)) == counts
    assert files["given_out"].read_bytes() == files["own"].read_bytes()


def test_runs_are_made_once_each_and_as_in_one_process(
    cluster: Any, tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    tuning = TuningSettings(LoraSettings(2, 4, ["q_proj"]), lr=0.01, warmup_ratio=0.1, batch_size=2, epochs=1, seed=0)
    settings = RunSettings(ModelSpec(tiny_model, "plain", 200), {"name": "tiny"}, tuning, {"dev": records[8:]}, None, 4, [])
    rows, seeds = [records[:3], records[3:6], records[:3]], [1, 2, 1]
    own = RunLedger(tmp_path / "own", settings).items_of(rows, seeds, "runs")
    ledger = RunLedger(tmp_path / "given_out", settings, RayEngine(cluster.address))
    pd.testing.assert_frame_equal(ledger.items_of(rows, seeds, "runs"), own, check_exact=True)
    assert len(list((tmp_path / "given_out").glob("*.parquet"))) == 2
    found = RunLedger(tmp_path / "given_out", settings, RayEngine("no address"))  # all is known, and nobody is asked
    pd.testing.assert_frame_equal(found.items_of(rows, seeds, "runs"), own, check_exact=True)
    assert not RunLedger(tmp_path / "given_out", replace(settings, limit=1)).has(records[:3], 1)
