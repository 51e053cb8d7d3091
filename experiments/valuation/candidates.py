"""How well a record's marginal is known without tuning on it: as a bystander, against exactly, in the same runs.

Usage, after `make repro`: python -m experiments.valuation.candidates. Writes experiments/valuation/candidates.json; two minutes.

The proxies are tuned on in random halves and their complements, and are bystanders of the same runs, too. A proxy that is
absent has an exact marginal, from a forward-mode pass at each of its steps; as a bystander it has one pass in the run's mean
direction. Compared are the order and the size of the two, over absent and over present proxies.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.games import scoring_regime
from shed.common.atomic_io import write_json
from shed.models.loading import load_model, load_tokenizer
from shed.params import load_params
from shed.models.encoding import encode_all
from shed.data.records import read_records
from shed.engine.gradients import metagradient
from shed.valuation.estimate import rank_correlation
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.utility import dev_set

RESULT, SEEDS = "experiments/valuation/candidates.json", (1, 2)


def main() -> None:
    params = load_params()
    model, clusters = params.model, pd.read_parquet("data/clusters.parquet")
    pool = read_records("data/prepared/pool.jsonl")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    tokenizer, base = load_tokenizer(model.name), load_model(model.name)
    limit = base.config.max_position_embeddings
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    encoded = encode_all(proxies, tokenizer, model.prompt, model.max_tokens, limit, end=True)
    measured = dev_set(params.score.utility, dev, tokenizer, model.prompt, model.max_tokens, limit)
    trainer = CoalitionTrainer(base, encoded, measured, scoring_regime(), encoded)
    runs: list[dict[str, Any]] = []
    for seed in SEEDS:
        half = np.random.default_rng(seed).permutation(len(encoded)) < len(encoded) // 2
        weights = np.stack([half, ~half])
        _, marginals = metagradient(trainer, weights.astype(np.float64))
        exact, aside = np.split(marginals, 2, axis=1)
        runs += [
            {"seed": seed, "absent": compared(own[~inside], other[~inside]), "present": compared(own[inside], other[inside])}
            for inside, own, other in zip(weights, exact, aside, strict=True)
        ]
    write_json(RESULT, {"proxies": len(encoded), "runs": runs})
    print(json.dumps(runs, indent=2))


def compared(exact: np.ndarray, aside: np.ndarray) -> dict[str, float]:
    """Rank correlation of the two (n,), and their means."""
    return {
        "rank_correlation": rank_correlation(exact, aside),
        "mean_exact": float(exact.mean()),
        "mean_as_bystander": float(aside.mean()),
    }


if __name__ == "__main__":
    main()
