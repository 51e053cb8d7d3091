"""Publish the comparison for the report: data/comparison.json. Usage: python -m experiments.compare.publish"""

import json
import sys

import pandas as pd

from shed.comparison import fingerprint
from shed.errors import ShedError
from shed.files import write_json


def main() -> None:
    clusters, scores = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/scores.parquet")
    try:
        test = pd.read_csv("experiments/compare/test.csv")
    except FileNotFoundError as error:
        raise ShedError("experiments/compare/test.csv: no such file; run python -m experiments.compare.table first") from error
    published = {"pool": fingerprint(clusters, ["id"]), "scores": fingerprint(scores, ["cluster", "score"])}
    write_json("data/comparison.json", {**published, "test": json.loads(test.to_json(orient="records"))})


if __name__ == "__main__":
    try:
        main()
    except ShedError as problem:
        sys.exit(f"shed: error: {problem}")
