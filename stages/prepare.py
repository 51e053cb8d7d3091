"""Prepare: three disjoint splits of records, what was rejected and why, and the data card."""

from collections import Counter
from dataclasses import replace

import pandas as pd

from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.data.faults import damage
from shed.data.preparation import prepare
from shed.data.recipes import read_split
from shed.params import Params
from stages import main


def run(params: Params) -> None:
    data = params.data
    prepared = prepare(
        read_split(data.pool),
        read_split(data.dev),
        read_split(data.test),
        pool_rows=data.pool_rows,
        dev_rows=data.dev_rows,
        test_rows=data.test_rows,
        seed=data.seed,
    )
    pool, faults = damage(prepared.pool, data.faults.share, data.faults.kinds, data.faults.sources, data.seed)
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in pool))
    write_jsonl("data/prepared/dev.jsonl", (record.to_row() for record in prepared.dev))
    write_jsonl("data/prepared/test.jsonl", (record.to_row() for record in prepared.test))
    write_jsonl("data/prepared/rejects.jsonl", (reject.to_row() for reject in prepared.rejects))
    write_table("data/prepared/faults.csv", pd.DataFrame(faults.items(), columns=["id", "fault"]))
    card = replace(prepared, pool=pool).card({"pool": data.pool, "dev": data.dev, "test": data.test})
    card["pool"]["faults"] = dict(sorted(Counter(faults.values()).items()))
    write_json("metrics/data.json", card)


if __name__ == "__main__":
    main(run)
