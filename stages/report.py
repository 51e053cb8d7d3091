"""Report: one page of what was selected, what it did, and how far to trust it."""

from typing import Any

import pandas as pd

from shed.common.atomic_io import read_array, read_json, write_text
from shed.data.records import read_records
from shed.evaluation.comparison import conditions, ranks_agree
from shed.params import Params, describe
from shed.report.page import Comparison, Findings, render
from stages import main

METRICS = (
    "metrics/base.json",
    "metrics/change.json",
    "metrics/cluster.json",
    "metrics/data.json",
    "metrics/fidelity.json",
    "metrics/finetune.json",
    "metrics/judge.json",
    "metrics/rate.json",
    "metrics/sample.json",
    "metrics/score.json",
    "metrics/tasks.json",
    "metrics/tuned.json",
)


def run(params: Params) -> None:
    clusters, scores = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/scores.parquet")
    findings = Findings(
        metrics={path: read_json(path) for path in METRICS},
        pool=read_records("data/prepared/pool.jsonl"),
        clusters=clusters,
        scores=scores,
        selection=pd.read_parquet("data/selection.parquet"),
        embeddings=read_array("data/embeddings.npy"),
        convergence=pd.read_csv("metrics/plots/convergence.csv"),
        loss=pd.read_csv("metrics/plots/loss.csv"),
        fidelity={
            "scoring": pd.read_csv("metrics/plots/fidelity_scoring.csv"),
            "target": pd.read_csv("metrics/plots/fidelity_target.csv"),
        },
        comparison=of_this_pool(
            read_json("data/comparison.json"),
            conditions(params, clusters, read_records("data/prepared/test.jsonl")),
            scores,
        ),
        params=list(describe(params)),
    )
    write_text("reports/index.html", render(findings))


def of_this_pool(published: dict[str, Any], present: dict[str, str], scores: pd.DataFrame) -> Comparison | None:
    """The published comparison, if it is of the present pool, with how far its scores and conditions are the present ones."""
    if published["pool"] != present["pool"]:
        return None
    tables = {name: pd.DataFrame(published[name]) for name in ("dev", "test", "by_task", "with_top", "with_all", "costs")}
    return Comparison(
        **tables,
        same_settings=present.items() <= published.items(),
        ranks_agree=ranks_agree(published["ranks"], scores),
    )


if __name__ == "__main__":
    main(run)
