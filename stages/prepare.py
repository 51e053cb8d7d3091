"""Prepare: three disjoint splits of records, what was rejected and why, and the data card."""

from shed.files import write_json, write_jsonl
from shed.params import Params
from shed.preparation import prepare
from shed.sources import read_split
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
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in prepared.pool))
    write_jsonl("data/prepared/dev.jsonl", (record.to_row() for record in prepared.dev))
    write_jsonl("data/prepared/test.jsonl", (record.to_row() for record in prepared.test))
    write_jsonl("data/prepared/rejects.jsonl", (reject.to_row() for reject in prepared.rejects))
    write_json("metrics/data.json", prepared.card({"pool": data.pool, "dev": data.dev, "test": data.test}))


if __name__ == "__main__":
    main(run)
