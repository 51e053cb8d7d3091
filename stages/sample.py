"""Sample: the rows to tune on, with the reason for each."""

import pandas as pd

from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.data.faults import fault_detection
from shed.data.records import iterate_records
from shed.params import Params
from shed.selection.candidates import counts_left_out, totals
from shed.selection.given.order import select_given
from shed.selection.sampling import composition, select, usable, with_text
from shed.settings.selecting import floor_of
from stages import main
from stages.shared.candidates import read_candidates
from stages.shared.left_out import read_left_out
from stages.shared.selecting import given_order, sample_size

POOL = "data/prepared/pool.jsonl"


def run(params: Params) -> None:
    table, scores = read_candidates(params), pd.read_parquet("data/scores.parquet")
    sample = params.sample
    size, floor = sample_size(params, table), floor_of(sample, params.sampler)
    counts: dict[str, int] = {}
    if params.sampler == "given":
        assert sample.given is not None  # params are refused without
        order = given_order(params, sample.given, iterate_records(POOL))
        selection, counts = select_given(order, table, scores, size), order.counts
    else:
        selection = select(table, scores, params.sampler, size, sample.f, sample.seed, floor, sample.within)
    write_table("data/selection.parquet", selection)
    write_jsonl("data/selection.jsonl", with_text(selection, iterate_records(POOL)))
    faulty = set(pd.read_csv("data/prepared/faults.csv")["id"])
    selected = {"selection": selection["id"].tolist()}
    for sampler in usable(table) if faulty else ():
        selected[sampler] = select(table, scores, sampler, size, sample.f, sample.seed, floor, sample.within)["id"].tolist()
    by_id = table.set_index("id")
    of_cluster = by_id["cluster"].map(scores.set_index("cluster")["score"])
    detection = fault_detection(of_cluster, by_id["rating"], by_id["source"], faulty, selected)
    why = read_left_out(sample, pd.read_parquet("data/lengths.parquet"))
    lengths = {"lengths": totals(by_id.loc[selection["id"]])} | counts_left_out(why[~why.index.isin(by_id.index)])
    write_json("metrics/sample.json", composition(selection, table) | counts | detection | lengths)


if __name__ == "__main__":
    main(run)
