"""Lengths: the tokens of each pool record, which of them the context cuts, and whether what params ask for is possible."""

import sys

from shed.common.atomic_io import write_json, write_table
from shed.data.records import RecordFile, read_records
from shed.models.checks import check_model
from shed.models.record_lengths import record_lengths
from shed.params import Params
from shed.selection.candidates import totals
from stages import main
from stages.shared.early_checks import (
    check_audit,
    check_dev_tasks,
    check_score_budget,
    check_selection,
    check_utilities,
)
from stages.shared.settings.dev_tasks import dev_tasks
from stages.shared.settings.model import model_spec


def run(params: Params) -> None:
    check_audit(params.C)
    pool = RecordFile("data/prepared/pool.jsonl")
    encoder = check_model(model_spec(params))
    lengths = record_lengths(encoder, pool)
    dev = read_records("data/prepared/dev.jsonl")
    check_utilities(params, dev)
    shares, _ = dev_tasks()
    check_dev_tasks(params, dev, shares)
    check_selection(params, pool, lengths)
    measured = record_lengths(encoder, dev[: params.score.dev_rows])["tokens"].sum()
    if warning := check_score_budget(params, float(lengths["tokens"].mean()), float(measured)):
        print(f"shed: warning: {warning} (score.budget in params.yaml)", file=sys.stderr)
    write_table("data/lengths.parquet", lengths)
    write_json("metrics/lengths.json", totals(lengths))


if __name__ == "__main__":
    main(run)
