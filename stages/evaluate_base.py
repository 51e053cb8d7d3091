"""Evaluate the base model, once for all experiments that share it, its records and the evaluation's params."""

from shed.evaluation import evaluate, headline, summarise
from shed.files import write_json, write_table
from shed.params import Params
from shed.records import read_records
from stages import main


def run(params: Params) -> None:
    items = evaluate(
        params.model.name,
        None,
        {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")},
        params.model.prompt,
        params.model.max_tokens,
        params.evaluate.limit,
        params.evaluate.batch_size,
        params.evaluate.tasks,
    )
    write_table("data/base_items.parquet", items)
    write_json("metrics/base.json", headline(summarise(items)))


if __name__ == "__main__":
    main(run)
