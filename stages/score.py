"""Score: a Shapley score for each cluster, every evaluation through the ledger."""

import os
from functools import partial
from pathlib import Path

import pandas as pd

from shed.files import read_json, write_json, write_table
from shed.params import Params
from shed.records import read_records
from shed.scoring import score_clusters
from shed.valuation.removal import removal
from shed.valuation.training import Regime
from stages import main

LEDGER = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "ledger.sqlite"  # DVC_ROOT: shared by experiments in copies


def run(params: Params) -> None:
    score = params.score
    scored = score_clusters(
        pd.read_parquet("data/clusters.parquet"),
        read_records("data/prepared/pool.jsonl"),
        read_records("data/prepared/dev.jsonl")[: score.dev_rows],
        partial(removal, n=score.n, k=score.k, seed=score.seed),
        model=params.model.name,
        model_manifest=read_json("data/model.json"),
        form=params.model.prompt,
        max_tokens=params.model.max_tokens,
        regime=Regime(**score.tuning.model_dump(), seed=score.seed),
        ledger=LEDGER,
    )
    bars = scored.table.assign(low=lambda t: t["score"] - t["stderr"], high=lambda t: t["score"] + t["stderr"])
    write_table("data/scores.parquet", scored.table)
    write_table("metrics/plots/scores.csv", bars[["cluster", "rank", "score", "low", "high", "size"]])
    write_table("metrics/plots/convergence.csv", scored.convergence)
    write_json("metrics/score.json", {"method": score.method, **scored.metrics})


if __name__ == "__main__":
    main(run)
