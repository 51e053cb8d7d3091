"""Report: one page of what was selected, what it did, and how far to trust it; the end of the run for the trackers."""

import sys

import pandas as pd

from shed.common.arrays import map_array
from shed.common.atomic_io import read_json, write_text
from shed.data.records import RecordFile
from shed.params import Params, describe
from shed.report.page import ReportInputs, render
from stages import main
from stages.shared.settings.tracking import report_results

DATA = ("data/prepared/pool.jsonl", "data/prepared/dev.jsonl", "data/prepared/test.jsonl")
METRICS = (
    "metrics/base.json",
    "metrics/change.json",
    "metrics/cluster.json",
    "metrics/data.json",
    "metrics/fidelity.json",
    "metrics/finetune.json",
    "metrics/judge.json",
    "metrics/lengths.json",
    "metrics/rate.json",
    "metrics/sample.json",
    "metrics/score.json",
    "metrics/tasks.json",
    "metrics/tuned.json",
    "metrics/verdict.json",
)


def run(params: Params) -> None:
    inputs = ReportInputs(
        metrics={path: read_json(path) for path in METRICS},
        pool=RecordFile("data/prepared/pool.jsonl"),
        clusters=pd.read_parquet("data/clusters.parquet"),
        scores=pd.read_parquet("data/scores.parquet"),
        selection=pd.read_parquet("data/selection.parquet"),
        embeddings=map_array("data/embeddings.npy"),
        convergence=pd.read_csv("metrics/plots/convergence.csv"),
        loss=pd.read_csv("metrics/plots/loss.csv"),
        fidelity={
            "scoring": pd.read_csv("metrics/plots/fidelity_scoring.csv"),
            "target": pd.read_csv("metrics/plots/fidelity_target.csv"),
        },
        params=list(describe(params)),
    )
    write_text("reports/index.html", render(inputs))
    print(f"shed: {inputs.metrics['metrics/verdict.json']['sentence']} The page is reports/index.html", file=sys.stderr)
    report_results(params, DATA, "data/selection.parquet", "metrics/verdict.json")


if __name__ == "__main__":
    main(run)
