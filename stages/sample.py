"""Sample: the rows to tune on, with the reason for each."""

import sys

import pandas as pd

from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.data.faults import fault_detection
from shed.data.records import Record, read_records
from shed.params import Params
from shed.selection.given import Order, order_of, select_given
from shed.selection.given_files import given_file, read_given
from shed.selection.sampling import Floor, budget, composition, select, usable, with_text
from stages import main
from stages.shared.paths import located
from stages.shared.reading import reader_settings


def run(params: Params) -> None:
    clusters = pd.read_parquet("data/clusters.parquet")
    scores, ratings = pd.read_parquet("data/scores.parquet"), pd.read_parquet("data/ratings.parquet")
    clusters = clusters.merge(ratings, on="id", how="left", validate="one_to_one")
    pool, sample = read_records("data/prepared/pool.jsonl"), params.sample
    rows = budget(len(clusters), sample.fraction, sample.rows)
    floor = None if sample.balance == "none" or params.sampler == "full" else Floor(sample.balance, sample.floor)
    counts: dict[str, int] = {}
    if params.sampler == "given":
        order = _given(params, pool)
        selection, counts = select_given(order, clusters, scores, rows), order.counts
    else:
        selection = select(clusters, scores, params.sampler, rows, sample.f, sample.seed, floor)
    write_table("data/selection.parquet", selection)
    write_jsonl("data/selection.jsonl", with_text(selection, pool))
    faulty = set(pd.read_csv("data/prepared/faults.csv")["id"])
    selected = {"selection": selection["id"].tolist()}
    for sampler in usable(clusters) if faulty else ():
        selected[sampler] = select(clusters, scores, sampler, rows, sample.f, sample.seed, floor)["id"].tolist()
    by_id = clusters.set_index("id")
    of_cluster = by_id["cluster"].map(scores.set_index("cluster")["score"])
    detection = fault_detection(of_cluster, by_id["rating"], by_id["source"], faulty, selected)
    write_json("metrics/sample.json", composition(selection, clusters) | counts | detection)


def _given(params: Params, pool: list[Record]) -> Order:
    """The order of the selection that was made elsewhere; how it was taken is told."""
    assert params.sample.given is not None  # params are refused without
    path = given_file(located(params.sample.given))
    order = order_of(read_given(path, reader_settings(params.data.reading)), pool)
    print(f"shed: {order.told()}", file=sys.stderr)
    return order


if __name__ == "__main__":
    main(run)
