"""Does the check of smoothness say when metagradient scores can be trusted? Games of eight records, mild to divergent.

In: the default pool and its embeddings. Out: smoothness.json. `dvc --cd experiments/valuation repro smoothness` runs it, in
a quarter of an hour the first time.

Each game is exact: all 256 coalitions are tuned. For each of several seeds: the cosine that the check compares with its
threshold, at the first coalition of a pair, and the rank correlation of the pair's scores with the exact Shapley values.
"""

import json
from typing import Any

from experiments.shared.games import pool_game, scoring_regime
from experiments.valuation.accuracy_against_cost import DEV_ROWS, PLAYERS, PROXIES, REGIMES
from shed.common.atomic_io import write_json
from shed.valuation.budget import Budget, MeteredGame, spend
from shed.valuation.estimate import rank_correlation
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.metagradient import SMOOTH, Metagradient, gradient_cosine

RESULT, SEEDS = "experiments/valuation/smoothness.json", range(3)
GAMES: dict[str, dict[str, Any]] = {
    **REGIMES,
    "frozen_adam": {"batch_size": 4},
    "adamw": {"batch_size": 4, "optimizer": "adamw"},
}


def main() -> None:
    result: dict[str, Any] = {"players": PLAYERS, "dev_records": DEV_ROWS, "threshold": SMOOTH, "games": {}}
    for name, changes in GAMES.items():
        with pool_game(PLAYERS, PROXIES, DEV_ROWS, scoring_regime(**changes)) as game:
            exact = spend(Exact(), game.play, Budget()).estimate
            cosines, spearman = [], []
            for seed in SEEDS:
                pair = Metagradient(seed, check=False)
                with MeteredGame(game.play, Budget()) as metered:
                    cosines.append(gradient_cosine(metered, pair.coalition(PLAYERS, 0)))
                scores = spend(pair, game.play, Budget(fte=7)).estimate.scores
                spearman.append(rank_correlation(scores, exact.scores))
            result["games"][name] = {
                "changes_to_the_scoring_regime": changes,
                "v_none": exact.v_none,
                "v_all": exact.v_all,
                "cosines": cosines,
                "spearman_with_exact": spearman,
            }
            write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
