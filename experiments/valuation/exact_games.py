"""All utilities of two games of eight players of real records, so that black-box estimators can play them for nothing.

In: the default pool and its embeddings. Out: exact_games.json. `dvc --cd experiments/valuation repro exact_games` runs it, in a
quarter of an hour the first time.

All 256 coalitions are tuned and measured, by SGD, in the mild game for two epochs and in the harsh one for three at a learning
rate near divergence. The utility at index m is that of the coalition of all players whose bit is set in m: player 0 has the
lowest bit. With the utilities stands what they depend on. `benchmarks/estimators.py` plays the games.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from experiments.shared.games import pool_game, scoring_regime
from shed.common.atomic_io import write_json
from shed.common.import_closure import code_digest
from shed.data.records import read_records
from shed.valuation.budget import Budget, MeteredGame
from shed.valuation.proxy_game import CODE, ProxyGame

RESULT = "experiments/valuation/exact_games.json"
PLAYERS, PROXIES, DEV_ROWS = 8, 1, 16
SGD: dict[str, Any] = {"optimizer": "sgd", "batch_size": 4}
REGIMES = {"mild": SGD | {"lr": 0.04}, "harsh": SGD | {"epochs": 3, "lr": 0.15}}


def main() -> None:
    coalitions = (np.arange(2**PLAYERS)[:, None] >> np.arange(PLAYERS)) & 1 == 1
    result: dict[str, Any] = {}
    for name, changes in REGIMES.items():
        regime = scoring_regime(**changes)
        with pool_game(PLAYERS, PROXIES, DEV_ROWS, regime) as game, MeteredGame(game.play, Budget()) as metered:
            utilities = metered.value(coalitions).tolist()
            result[name] = {"regime": asdict(regime), **origin(game), "fte": metered.cost.fte, "utilities": utilities}
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def origin(game: ProxyGame) -> dict[str, Any]:
    """What the utilities depend on beside the regime, the pool and the code by digests of 16 hex digits."""
    pool = "\n".join(record.id for record in read_records("data/prepared/pool.jsonl"))
    return {
        "utility": game.utility,
        "dev_records": DEV_ROWS,
        "pool": hashlib.sha256(pool.encode()).hexdigest()[:16],
        "code": code_digest(CODE),
        "records_of_players": [game.proxies[place].id for place in np.argsort(game.owner)],
    }


if __name__ == "__main__":
    main()
