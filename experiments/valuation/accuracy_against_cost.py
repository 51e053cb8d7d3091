"""Accuracy against cost: every estimator against exact Shapley values, in games of eight players of real records.

In: the default pool and its embeddings. Out: accuracy_against_cost.json, and exact_games.json, all utilities of the games.
`dvc --cd experiments/valuation repro accuracy_against_cost` runs it, in half an hour the first time on a machine that does
nothing else.

The games are exact: all 256 coalitions are tuned and measured, by SGD, in the mild game for two epochs and in the harsh one
for three at a learning rate near divergence. At each budget in FTE an estimator's scores, for several seeds, are compared
with the exact ones. null stands for a budget that does not cover an estimator's first estimate, or gives all players the
same score; shapiq's estimators take as many evaluations as the budget covers. `metagradient_redrawn` has its own initial
weights and batches in every run, as the pipeline's default has, so it estimates the mean of many such games, and this is
one of them.

In exact_games.json the utility at index m is that of the coalition of all players whose bit is set in m: player 0 has the
lowest bit. With the utilities stands what they depend on. `benchmarks/estimators.py` plays these games for nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import pearsonr

from experiments.shared.games import pool_game, scoring_regime
from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.common.import_closure import code_digest
from shed.data.records import read_records
from shed.valuation.budget import Budget, MeteredGame, Outcome, spend
from shed.valuation.estimate import Estimator, rank_correlation
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter
from shed.valuation.ledger import LedgeredGame
from shed.valuation.proxy_game import CODE, ProxyGame

RESULT, GAMES = "experiments/valuation/accuracy_against_cost.json", "experiments/valuation/exact_games.json"
PLAYERS, PROXIES, DEV_ROWS = 8, 1, 16
SGD: dict[str, Any] = {"optimizer": "sgd", "batch_size": 4}
REGIMES = {"mild": SGD | {"lr": 0.04}, "harsh": SGD | {"epochs": 3, "lr": 0.15}}
BUDGETS = [2, 4, 6, 8, 11, 16, 32, 64]
MOST = {"metagradient_redrawn": 16}  # the default's budget is 11
SEEDS = range(3)
ESTIMATORS: dict[str, Callable[[int], Estimator]] = {
    "metagradient": lambda seed: Metagradient(seed, check=False),
    "metagradient_redrawn": lambda seed: Metagradient(seed, check=False, redraw=True),
    "in_run": lambda seed: InRun(),
    "regression": lambda seed: Regression(seed),
    "regression_on_in_run": lambda seed: Regression(seed, surrogate=InRun()),
    "regression_on_metagradient": lambda seed: Regression(seed, surrogate=Metagradient(seed, check=False)),
    "permutation": lambda seed: Permutation(seed),
    "removal": lambda seed: Removal(n=1, k=1000, seed=seed),
}
SHAPIQ = ("KernelSHAP", "SVARM")


def main() -> None:
    games: dict[str, Any] = {}
    for name, changes in REGIMES.items():
        with pool_game(PLAYERS, PROXIES, DEV_ROWS, scoring_regime(**changes)) as game:
            games[name] = {"regime": asdict(scoring_regime(**changes)), **utilities(game)}
        write_json(GAMES, games)
    result: dict[str, Any] = {"players": PLAYERS, "records": PLAYERS * PROXIES, "dev_records": DEV_ROWS, "seeds": len(SEEDS)}
    for name, changes in REGIMES.items():
        with pool_game(PLAYERS, PROXIES, DEV_ROWS, scoring_regime(**changes)) as game:
            exact = spend(Exact(), game.play, Budget()).estimate
            result[name] = {
                "changes_to_the_scoring_regime": changes,
                "v_none": exact.v_none,
                "v_all": exact.v_all,
                "exact": exact.scores.tolist(),
                "estimators": {
                    estimator: {
                        str(fte): compare(game.play, estimator, fte, exact.scores)
                        for fte in BUDGETS
                        if fte <= MOST.get(estimator, BUDGETS[-1])
                    }
                    for estimator in (*ESTIMATORS, *SHAPIQ)
                },
            }
            write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def utilities(game: ProxyGame) -> dict[str, Any]:
    """The utilities of all coalitions, and what they depend on beside the regime: the pool and the code as digests."""
    coalitions = (np.arange(2**PLAYERS)[:, None] >> np.arange(PLAYERS)) & 1 == 1
    with MeteredGame(game.play, Budget()) as metered:
        found = metered.value(coalitions).tolist()
    pool = "\n".join(record.id for record in read_records("data/prepared/pool.jsonl"))
    return {
        "utility": game.utility,
        "dev_records": DEV_ROWS,
        "pool": hashlib.sha256(pool.encode()).hexdigest()[:16],
        "code": code_digest(CODE),
        "records_of_players": [game.proxies[place].id for place in np.argsort(game.owner)],
        "fte": metered.cost.fte,
        "utilities": found,
    }


def compare(game: LedgeredGame, estimator: str, fte: int, exact: np.ndarray) -> dict[str, float] | None:
    """Medians over seeds of the Spearman and Pearson correlations with exact scores, and of the FTE used."""
    found = []
    for seed in SEEDS:
        outcome = played(game, estimator, seed, fte)
        if outcome is None or not np.ptp(outcome.estimate.scores):
            return None
        scores = outcome.estimate.scores
        found.append((rank_correlation(scores, exact), float(pearsonr(scores, exact).statistic), outcome.cost.fte))
    spearman, pearson, used = (median(values) for values in zip(*found, strict=True))
    return {"spearman": spearman, "pearson": pearson, "fte": used}


def played(game: LedgeredGame, estimator: str, seed: int, fte: int) -> Outcome | None:
    """What the budget pays for; shapiq's estimators are given a number of evaluations: the largest that fits is looked for."""
    if estimator in ESTIMATORS:
        tries: Iterable[Estimator] = [ESTIMATORS[estimator](seed)]
    else:
        tries = (ShapiqAdapter(estimator, evaluations, seed) for evaluations in range(2 * fte, 1, -1))
    for one in tries:
        try:
            return spend(one, game, Budget(fte=fte), on_divergence="skip")
        except ShedError:
            continue
    return None


if __name__ == "__main__":
    main()
