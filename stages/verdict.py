"""Verdict: the selection and its controls, each tuned and evaluated under several seeds, and what that shows."""

from collections.abc import Sequence

import pandas as pd

from shed.common.atomic_io import write_json
from shed.data.records import Record, read_records
from shed.evaluation.trial import Trial
from shed.params import Params
from stages import main
from stages.shared.left_out import read_left_out
from stages.shared.runs import items_of, run_ledger
from stages.shared.settings.model import model_spec

OFF = "not tested, since verdict.seeds is 0; one run cannot show it."
WHOLE = "not tested, since the selection is all that may be selected."


def run(params: Params) -> None:
    settings, spec = params.verdict, model_spec(params)
    pool, lengths = read_records("data/prepared/pool.jsonl"), pd.read_parquet("data/lengths.parquet")
    allowed = read_left_out(params.sample, lengths).isna()
    by_id = {record.id: record for record in pool}
    selection = [by_id[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
    candidates = [record for record in pool if allowed[record.id]]
    if not settings.seeds or len(selection) >= len(candidates):
        write_json("metrics/verdict.json", {"sentence": WHOLE if settings.seeds else OFF, "seeds": 0})
        return
    tokens_of = dict(zip(lengths["id"], lengths["response_tokens"], strict=True))
    trial = Trial(candidates, tokens_of, pool if settings.full else None, params.sample.budget == "tokens")
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, spec, splits, params.evaluate.tasks)

    def items(rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
        return items_of(ledger, rows, seeds, f"verdict: {name}")

    verdict = trial.verdict(selection, range(1, settings.seeds + 1), items)
    write_json("metrics/verdict.json", verdict.to_metrics())


if __name__ == "__main__":
    main(run)
