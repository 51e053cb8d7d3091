"""Publish the comparison for the report: data/comparison.json. Usage: python -m experiments.compare.publish"""

import json
import sys

import pandas as pd

from shed.evaluation.comparison import conditions
from shed.common.errors import ShedError
from shed.common.atomic_io import write_json
from shed.params import load_params
from shed.data.records import read_records

TABLES = ("dev", "test", "by_task", "with_all", "with_top", "costs")


def main() -> None:
    clusters, scores = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/scores.parquet")
    try:
        tables = {name: pd.read_csv(f"experiments/compare/{name}.csv") for name in TABLES}
    except FileNotFoundError as error:
        raise ShedError(f"{error.filename}: no such file; run python -m experiments.compare.table first") from error
    published = conditions(load_params(), clusters, read_records("data/prepared/test.jsonl"))
    ranks = scores.set_index(scores["cluster"].astype(str))["rank"].to_dict()
    found = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
    write_json("data/comparison.json", {**published, "ranks": ranks, **found})


if __name__ == "__main__":
    try:
        main()
    except ShedError as problem:
        sys.exit(f"shed: error: {problem}")
