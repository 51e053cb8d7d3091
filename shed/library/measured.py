"""What is measured of a pool, once each: ratings, clusters and their scores, and how responses fit their prompts.

In: an `Inputs`. Out: results, computed when they are first asked for, or read if they were computed before with this folder;
and the rows that a selection may take.
"""

from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from shed.common.arrays import map_array
from shed.common.import_closure import code_digest
from shed.common.sealed import seal, take
from shed.data.tasks.combining import Combine
from shed.embedding.blocks import embed_to
from shed.library.inputs import Inputs
from shed.library.kept import Finished, digest, find_or_make, of_ids, of_model, of_records, of_table
from shed.library.results import ClusterResult, PromptFitResult, RatingResult, ScoreResult
from shed.models.loading import manifest
from shed.params import Params
from shed.selection.candidates import LeastFit, candidates, left_out, rated
from shed.selection.clustering import cluster, quality
from shed.selection.quality.of_records import prompt_fit_of, summary
from shed.selection.scoring import score_clusters
from shed.settings.estimators import ESTIMATORS
from shed.settings.models import embedder_spec
from shed.settings.regime import scoring_regime
from shed.valuation.budget import Budget
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import rate

SCORE_IS = {"ratings": "mean rating", "shapley": "Shapley score"}
SCORING = ("shed.selection.scoring", "shed.valuation.proxy_game", "shed.settings.estimators")  # the code of scores
BY_SCORES = ("qocs", "qwcs")
NOT_RATED = pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)})
NOT_SCORED = pd.DataFrame({"cluster": [0], "score": [float("nan")], "rank": [1]})


class Measured:
    """The measurements of a pool."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs, self._settings, self._pool = inputs, inputs.settings, inputs.prepared.pool

    def knows(self, name: str) -> bool:
        """True if `ratings`, `clusters` or `scores` have been computed."""
        return name in self.__dict__

    @cached_property
    def ratings(self) -> RatingResult:
        """A rating for each record."""
        own, inputs = self._settings.rate, self._inputs
        dev, regime = inputs.prepared.dev[: own.dev_rows], scoring_regime(self._settings.regime, own.seed)
        asked = of_model(inputs.model, inputs.manifest, "shed.valuation.ratings") | {
            "pool": of_ids(self._pool),
            "dev": of_records(dev),
            "tasks": [inputs.tasks, self._combine],
            "regime": asdict(regime),
            "settings": [own.utility, own.warm_rows, own.screen, own.method],
        }

        def make() -> Finished:
            blocks = RatedBlocks(inputs.folder / "ratings", {"model": inputs.manifest})  # what a stopped run has done
            of = (inputs.tasks, self._combine, own.screen, None, own.method)
            found = rate(self._pool, dev, inputs.model, own.utility, regime, own.warm_rows, blocks, *of)
            return Finished({"ratings": pd.DataFrame({"id": found.ids, "rating": found.ratings})}, found.metrics)

        found = find_or_make(inputs.folder / "results", asked, make)
        table = inputs.records.merge(found.tables["ratings"], on="id", how="left", validate="one_to_one")
        return RatingResult(table, found.metrics)

    @cached_property
    def prompt_fits(self) -> PromptFitResult:
        """How well each record's response fits its prompt."""
        own, name = self._settings.data, self._settings.embed.model
        of = manifest(name, "embedder") | {"name": name}
        asked = {
            "code": code_digest("shed.selection.quality.of_records"),
            "embedder": of,
            "settings": [self._settings.embed.model_dump(), own.seed],
            "pool": of_ids(self._pool),
        }

        def make() -> Finished:
            spec, kept = embedder_spec(self._settings.embed, of.get("revision")), self._inputs.folder / "embeddings"
            fits = prompt_fit_of(self._pool, spec, of, kept, own.seed)
            table = pd.DataFrame({"id": [record.id for record in self._pool], "prompt_fit": fits})
            return Finished({"fits": table}, dict(summary(fits)))

        found = find_or_make(self._inputs.folder / "results", asked, make)
        table = self._inputs.records.merge(found.tables["fits"], on="id", how="left", validate="one_to_one")
        return PromptFitResult(table.sort_values("prompt_fit", kind="stable", ignore_index=True), found.metrics)

    @cached_property
    def clusters(self) -> ClusterResult:
        """A cluster for each record."""
        own, embedder = self._settings.cluster, self._settings.embed.model
        embeddings = self._embeddings(manifest(embedder, "embedder") | {"name": embedder})
        found = cluster(embeddings, self._settings.C, own.method, own.proxies_per_cluster, own.seed)
        table = self._inputs.records.assign(cluster=found.labels, distance=found.distances, proxy=found.proxies)
        return ClusterResult(table, dict(quality(embeddings, found, own.seed)), embeddings)

    @cached_property
    def scores(self) -> ScoreResult:
        """A score for each cluster; every evaluation goes through the ledger."""
        own, clusters, inputs = self._settings.score, self.clusters.table, self._inputs
        if own.by == "ratings":
            lengths = clusters.merge(inputs.lengths, on="id", how="left", validate="one_to_one")
            clusters = rated(lengths, self.ratings.table[["id", "rating"]], self._settings.rate.per)
        dev, regime = inputs.prepared.dev[: own.dev_rows], scoring_regime(self._settings.regime, own.seed)
        played = [name for name in ("id", "cluster", "proxy", "rating") if name in clusters]
        asked = of_model(inputs.model, inputs.manifest, *SCORING) | {
            "clusters": of_table(clusters[played]),
            "dev": of_records(dev),
            "tasks": [inputs.tasks, self._combine],
            "regime": asdict(regime),
            "settings": own.model_dump(),
        }

        def make() -> Finished:
            setting = Setting(inputs.model, inputs.manifest, own.utility, regime, inputs.tasks, self._combine)
            limits = Budget(**own.budget.model_dump(), **own.target.model_dump())
            with open_game(clusters, self._pool, dev, setting, inputs.folder / "ledger.sqlite") as game:
                found = score_clusters(game, ESTIMATORS[own.method](own), limits, own.on_divergence, clusters)
            metrics = {"method": own.method, "score_is": SCORE_IS[own.by], **found.metrics}
            return Finished({"scores": found.table, "convergence": found.convergence}, metrics)

        found = find_or_make(inputs.folder / "results", asked, make)
        return ScoreResult(found.tables["scores"], found.metrics, found.tables["convergence"])

    def for_selection(self, settings: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows that may be selected and the clusters' scores, with all that the sampler goes by.

        What it does not go by and nobody has asked for yet is left open: then all rows are of cluster 0, without a score.
        """
        if settings.sampler in BY_SCORES:
            _ = self.scores
        if settings.sample.balance == "cluster":
            _ = self.clusters
        if settings.sampler == "top" or settings.sample.within == "rating":
            _ = self.ratings
        records = self.clusters.table if self.knows("clusters") else self._inputs.records.assign(cluster=0)
        ratings = self.ratings.table[["id", "rating"]] if self.knows("ratings") else NOT_RATED
        whole = settings.sampler == "full"
        fit = None if whole else self._least_fit(settings)
        table = candidates(records, self._inputs.lengths, ratings, settings.rate.per, settings.sample.too_long or whole, fit)
        return table, self.scores.table if self.knows("scores") else NOT_SCORED

    def left_out(self, settings: Params) -> "pd.Series[str]":
        """Why each record may not be selected, by its id, as `shed.selection.candidates.left_out` has it."""
        lengths = self._inputs.lengths
        return left_out(lengths, settings.sample.too_long, self._least_fit(settings)).set_axis(lengths["id"])

    def _least_fit(self, settings: Params) -> LeastFit | None:
        least = settings.sample.exclude.prompt_fit
        return None if least is None else LeastFit(self.prompt_fits.table, least)

    @property
    def _combine(self) -> Combine:
        return self._settings.data.dev_combine

    def _embeddings(self, of: dict[str, Any]) -> np.ndarray:
        """A vector for each record, from a file."""
        own, inputs = self._settings.embed, self._inputs
        asked = {"code": code_digest("shed.embedding.embedder"), "embedder": of, "settings": own.model_dump()}
        path = inputs.folder / "results" / f"embeddings-{digest(asked | {'pool': of_ids(self._pool)})}.npy"
        kept = take(path)
        if kept is None:
            embed_to(path, self._pool, embedder_spec(own, of.get("revision")), of, inputs.folder / "embeddings")
            kept = seal(path)
        return map_array(kept)
