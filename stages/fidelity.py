"""Fidelity: what scores predict for unseen half coalitions, against what is measured, in the scoring and the target regime."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd

from shed.common.arrays import map_array
from shed.common.atomic_io import write_json, write_table
from shed.data.records import RecordFile, read_records
from shed.embedding.embedder import embed
from shed.engine.regime import Regime
from shed.models.specs import LoraSettings
from shed.params import Params
from shed.selection.baselines import baseline_scores
from shed.valuation.audit import Audit, AuditedRegime, audit, certainty_of
from shed.valuation.fidelity import half_coalitions
from shed.valuation.proxy_game import ProxyGame
from stages import FINAL_TUNING, main, naming_keys
from stages.shared.games import game_of, scoring_game
from stages.shared.settings.embedder import embedder_spec


def run(params: Params) -> None:
    scores = pd.read_parquet("data/scores.parquet").sort_values("cluster", ignore_index=True)
    audited = audit_scores(params, scores)
    write_table("metrics/plots/fidelity_scoring.csv", audited.points["scoring"])
    write_table("metrics/plots/fidelity_target.csv", audited.points.get("target", audited.points["scoring"][:0]))
    write_json("metrics/fidelity.json", audited.report | certainty_of(scores))


def audit_scores(params: Params, scores: pd.DataFrame) -> Audit:
    """The LDS of Shapley scores, ratings and baselines of the proxies, in each regime."""
    settings = params.fidelity
    clusters = pd.read_parquet("data/clusters.parquet")
    halves = half_coalitions(len(scores), settings.coalitions, settings.seed)
    regimes = {"scoring": AuditedRegime(params.score.utility, halves, [partial(scoring_game, params, clusters)])}
    if settings.target_coalitions:
        draws = [partial(target_game, params, clusters, settings.seed + draw) for draw in range(settings.target_draws)]
        regimes["target"] = AuditedRegime(settings.target_utility, halves[: settings.target_coalitions], draws)
    return audit(regimes, {"shapley": scores["shapley"].to_numpy()} | other_scores(params, clusters), settings.seed)


@contextmanager
def target_game(params: Params, clusters: pd.DataFrame, seed: int) -> Iterator[ProxyGame]:
    """The game in the final tuning's regime; its seed is not that of scoring."""
    regime = target_regime(params, seed)
    with naming_keys(FINAL_TUNING), game_of(params, clusters, params.fidelity.target_utility, regime) as game:
        yield game


def target_regime(params: Params, seed: int) -> Regime:
    """The final tuning's: all layers, its optimiser, schedule, learning rate, batch size and epochs."""
    final = params.finetune
    return Regime(
        lora=LoraSettings(final.r, final.alpha, final.modules),
        optimizer="adamw",
        lr=final.lr,
        momentum=0.9,
        batch_size=final.batch_size,
        epochs=final.epochs,
        schedule="linear",
        warmup=final.warmup_ratio,
        seed=seed,
    )


def other_scores(params: Params, clusters: pd.DataFrame) -> dict[str, np.ndarray]:
    """For each player (P,) the sum of its proxies' scores by baselines, and by ratings where there are any."""
    places = np.flatnonzero(clusters["proxy"])
    pool, dev = RecordFile("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    baselines = baseline_scores(
        [pool[i] for i in places.tolist()],
        dev,
        map_array("data/embeddings.npy")[places],
        embed(dev, embedder_spec(params)).vectors,
    )
    of_proxies = {str(name): own for name, own in baselines.items()}
    ratings = pd.read_parquet("data/ratings.parquet").set_index("id")["rating"]
    if clusters["id"].iloc[places].isin(ratings.index).all():
        of_proxies["rating"] = ratings[clusters["id"].iloc[places]].to_numpy()
    return {name: np.bincount(clusters["cluster"].iloc[places], weights=own) for name, own in of_proxies.items()}


if __name__ == "__main__":
    main(run)
