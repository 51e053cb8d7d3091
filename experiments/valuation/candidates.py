"""How well is a record's marginal known without tuning on it? As a candidate, against its exact value in the same runs.

In: the default pool and its proxies. Out: candidates.json. `dvc --cd experiments/valuation repro candidates` runs it, in
two minutes the first time.

The proxies are tuned on in random halves and their complements, and are candidates of the same runs, too. A proxy that is
absent has an exact marginal, from a forward-mode pass at each of its steps; as a candidate it has one pass in the run's
mean direction. The order and the size of the two are compared, over absent and over present proxies.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.games import scoring_regime
from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.engine.coalition_trainer import load_trainer
from shed.engine.gradients import metagradient
from shed.params import load_params
from shed.valuation.estimate import rank_correlation
from stages.shared.settings.model import model_spec

RESULT, SEEDS = "experiments/valuation/candidates.json", (1, 2)


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    pool = read_records("data/prepared/pool.jsonl")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    trainer = load_trainer(model_spec(params), proxies, dev, params.score.utility, scoring_regime(), proxies)
    runs: list[dict[str, Any]] = []
    for seed in SEEDS:
        half = np.random.default_rng(seed).permutation(len(proxies)) < len(proxies) // 2
        weights = np.stack([half, ~half])
        _, marginals = metagradient(trainer, weights.astype(np.float64))
        exact, as_candidates = np.split(marginals, 2, axis=1)
        runs += [
            {"seed": seed, "absent": compared(own[~inside], other[~inside]), "present": compared(own[inside], other[inside])}
            for inside, own, other in zip(weights, exact, as_candidates, strict=True)
        ]
    write_json(RESULT, {"proxies": len(proxies), "runs": runs})
    print(json.dumps(runs, indent=2))


def compared(exact: np.ndarray, as_candidates: np.ndarray) -> dict[str, float]:
    """Rank correlation of the two (n,), and their means."""
    return {
        "rank_correlation": rank_correlation(exact, as_candidates),
        "mean_exact": float(exact.mean()),
        "mean_as_candidate": float(as_candidates.mean()),
    }


if __name__ == "__main__":
    main()
