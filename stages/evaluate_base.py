"""Evaluate the untuned model, once for all experiments that share it, its records and the evaluation's params."""

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.evaluation.generation import Writing
from shed.evaluation.lm_evaluation import evaluate
from shed.evaluation.summaries import headline, summarise
from shed.params import Params
from stages import main
from stages.shared.settings.model import model_spec


def run(params: Params) -> None:
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    own, spec = params.evaluate, model_spec(params)
    items = evaluate(spec, None, splits, own.limit, own.batch_size, own.tasks, Writing(**own.written.model_dump()))
    write_table("data/base_items.parquet", items)
    write_json("metrics/base.json", headline(summarise(items)))


if __name__ == "__main__":
    main(run)
