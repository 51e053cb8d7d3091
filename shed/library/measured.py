"""What is measured of a pool, once each: ratings, clusters and their scores.

In: an `Inputs`. Out: results, computed when they are first asked for; and the rows that a selection may take.
"""

from functools import cached_property

import pandas as pd

from shed.library.estimators import estimator
from shed.library.inputs import Inputs
from shed.library.results import ClusterResult, RatingResult, ScoreResult
from shed.library.settings import embedder_spec, scoring_regime
from shed.models.embedding import embed
from shed.models.loading import manifest
from shed.params import Params
from shed.selection.candidates import candidates, rated
from shed.selection.clustering import cluster, quality
from shed.selection.scoring import score_clusters
from shed.valuation.budget import Budget
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import rate

SCORE_IS = {"ratings": "mean rating", "shapley": "Shapley score"}
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
        own, dev = self._settings.rate, self._inputs.prepared.dev
        regime = scoring_regime(self._settings, own.seed)
        kept = RatedBlocks(self._inputs.folder / "ratings", {"model": self._inputs.manifest})  # what a stopped run has done
        found = rate(self._pool, dev[: own.dev_rows], self._inputs.model, own.utility, regime, own.warm_rows, kept)
        return RatingResult(self._inputs.records.assign(rating=found.ratings), found.metrics)

    @cached_property
    def clusters(self) -> ClusterResult:
        """A cluster for each record."""
        own, embedder = self._settings.cluster, self._settings.embed.model
        spec = embedder_spec(self._settings, manifest(embedder, "embedder").get("revision"))
        embeddings = embed(self._pool, spec).vectors
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
        setting = Setting(inputs.model, inputs.manifest, own.utility, scoring_regime(self._settings, own.seed))
        limits = Budget(**own.budget.model_dump(), **own.target.model_dump())
        ledger = inputs.folder / "ledger.sqlite"
        with open_game(clusters, self._pool, inputs.prepared.dev[: own.dev_rows], setting, ledger) as game:
            found = score_clusters(game, estimator(own), limits, own.on_divergence, clusters)
        metrics = {"method": own.method, "score_is": SCORE_IS[own.by], **found.metrics}
        return ScoreResult(found.table, metrics, found.convergence)

    def for_selection(self, settings: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows that may be selected and the clusters' scores, with all that the sampler goes by.

        What it does not go by and nobody has asked for yet is left open: then all rows are of cluster 0, without a score.
        """
        if settings.sampler in BY_SCORES:
            _ = self.scores
        if settings.sample.balance == "cluster":
            _ = self.clusters
        if settings.sampler == "top":
            _ = self.ratings
        records = self.clusters.table if self.knows("clusters") else self._inputs.records.assign(cluster=0)
        ratings = self.ratings.table[["id", "rating"]] if self.knows("ratings") else NOT_RATED
        too_long = settings.sample.too_long or settings.sampler == "full"
        table = candidates(records, self._inputs.lengths, ratings, settings.rate.per, too_long)
        return table, self.scores.table if self.knows("scores") else NOT_SCORED
