"""Sample: the rows to tune on, with the reason for each."""

import pandas as pd

from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.data.faults import fault_detection
from shed.data.records import read_records
from shed.params import Params
from shed.selection.sampling import Floor, budget, composition, select, usable, with_text
from stages import main


def run(params: Params) -> None:
    clusters = pd.read_parquet("data/clusters.parquet")
    scores, ratings = pd.read_parquet("data/scores.parquet"), pd.read_parquet("data/ratings.parquet")
    clusters = clusters.merge(ratings, on="id", how="left", validate="one_to_one")
    sample = params.sample
    rows = budget(len(clusters), sample.fraction, sample.rows)
    floor = None if sample.balance == "none" or params.sampler == "full" else Floor(sample.balance, sample.floor)
    selection = select(clusters, scores, params.sampler, rows, sample.f, sample.seed, floor)
    write_table("data/selection.parquet", selection)
    write_jsonl("data/selection.jsonl", with_text(selection, read_records("data/prepared/pool.jsonl")))
    faulty = set(pd.read_csv("data/prepared/faults.csv")["id"])
    selected = {"selection": selection["id"].tolist()}
    for sampler in usable(clusters) if faulty else ():
        selected[sampler] = select(clusters, scores, sampler, rows, sample.f, sample.seed, floor)["id"].tolist()
    by_id = clusters.set_index("id")
    of_cluster = by_id["cluster"].map(scores.set_index("cluster")["score"])
    detection = fault_detection(of_cluster, by_id["rating"], by_id["source"], faulty, selected)
    write_json("metrics/sample.json", composition(selection, clusters) | detection)


if __name__ == "__main__":
    main(run)
