"""Fidelity: what scores predict for unseen half coalitions, against what is measured, in the scoring and the target regime."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from shed.baselines import baseline_scores
from shed.embedding import embed
from shed.fidelity import SURE, Measured, chance, half_coalitions, lds, mean_over_draws, measure, predictions
from shed.files import read_array, write_json, write_table
from shed.params import Params
from shed.records import read_records
from shed.valuation.estimate import reliability
from shed.valuation.training import Regime
from shed.valuation.utility import UNITS
from stages import main
from stages.proxy_game import game_of, scoring_game


def run(params: Params) -> None:
    report, points = audit(params)
    write_table("metrics/plots/fidelity_scoring.csv", points["scoring"])
    write_table("metrics/plots/fidelity_target.csv", points.get("target", points["scoring"][:0]))
    write_json("metrics/fidelity.json", report)


def audit(params: Params) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The LDS of each way of scoring in each regime, and by regime the utilities that Shapley scores predict."""
    settings = params.fidelity
    clusters = pd.read_parquet("data/clusters.parquet")
    scores = pd.read_parquet("data/scores.parquet").sort_values("cluster", ignore_index=True)
    halves = half_coalitions(len(scores), settings.coalitions, settings.seed)
    measured: dict[str, Measured] = {}
    with scoring_game(params, clusters) as game:
        v_none = float(game.play.value(np.zeros((1, len(scores)), dtype=bool))[0])
        measured["scoring"] = mean_over_draws(halves, [measure(game.play, halves, "scoring")], "scoring")
    if settings.target_coalitions:
        draws, some = [], halves[: settings.target_coalitions]
        for draw in range(settings.target_draws):
            regime = replace(target_regime(params), seed=settings.seed + draw)
            with game_of(params, clusters, settings.target_utility, regime) as game:
                draws.append(measure(game.play, some, f"target, draw {draw + 1} of {settings.target_draws}"))
        measured["target"] = mean_over_draws(some, draws, "target")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    places = np.flatnonzero(clusters["proxy"])
    pool = read_records("data/prepared/pool.jsonl")
    baselines = baseline_scores(
        [pool[i] for i in places],
        dev,
        read_array("data/embeddings.npy")[places],
        embed(dev, params.embed.model, params.embed.batch_size),
    )
    audited = {"shapley": scores["shapley"].to_numpy()} | {
        name: np.bincount(clusters["cluster"].iloc[places], weights=own) for name, own in baselines.items()
    }
    ratings = pd.read_parquet("data/ratings.parquet").set_index("id")["rating"]
    if len(ratings):
        of_proxies = ratings[clusters["id"].iloc[places]].to_numpy()
        audited["rating"] = np.bincount(clusters["cluster"].iloc[places], weights=of_proxies)
    certainty = scores["shapley_sign_certainty"].to_numpy()
    between = reliability(scores["shapley_of_one_half"].to_numpy(), scores["shapley_of_other_half"].to_numpy())
    asked = {"scoring": len(halves), "target": len(halves[: settings.target_coalitions or 0])}
    utilities = {"scoring": params.score.utility, "target": settings.target_utility}
    report = {
        regime: {
            "coalitions": len(found.utilities),
            "diverged": asked[regime] - len(found.utilities),
            "utility": utilities[regime],
            "unit": UNITS[utilities[regime]],
            "draws_agree": found.draws_agree,
            "ceiling": found.ceiling,
            "utility_std": float(found.utilities.std(ddof=1)),
            **{name: lds(found, values, settings.seed) for name, values in audited.items()},
            "random": chance(found, settings.seed),
        }
        for regime, found in measured.items()
    } | {
        "rank_reliability": None if np.isnan(between) else between,
        "certain_signs": None if np.isnan(certainty).any() else float((certainty > SURE).mean()),
    }
    return report, {regime: predictions(found, audited["shapley"], v_none) for regime, found in measured.items()}


def target_regime(params: Params) -> Regime:
    """The final tuning's: all layers, its optimiser, schedule, learning rate, batch size and epochs.

    Initial weights and batches are by the audit's seed, which is not that of scoring.
    """
    final = params.finetune
    return Regime(
        depth=None,
        r=final.r,
        alpha=final.alpha,
        modules=final.modules,
        optimizer="adamw",
        lr=final.lr,
        momentum=0.9,
        batch_size=final.batch_size,
        epochs=final.epochs,
        schedule="linear",
        warmup=final.warmup_ratio,
        seed=params.fidelity.seed,
    )


if __name__ == "__main__":
    main(run)
