"""Lengths: the tokens of each pool record, which of them the context cuts, and whether what params ask for is possible."""

from shed.common.atomic_io import read_json, write_json, write_table
from shed.data.records import read_records
from shed.models.checks import check_model
from shed.models.costs import record_lengths
from shed.params import Params
from shed.selection.candidates import totals
from stages import main
from stages.shared.early_checks import check_dev_tasks, check_selection, check_utilities
from stages.shared.settings.model import model_spec


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    lengths = record_lengths(check_model(model_spec(params)), pool)
    dev = read_records("data/prepared/dev.jsonl")
    check_utilities(params, dev)
    check_dev_tasks(params, dev, read_json("data/prepared/dev_tasks.json"))
    check_selection(params, pool, lengths)
    write_table("data/lengths.parquet", lengths)
    write_json("metrics/lengths.json", totals(lengths))


if __name__ == "__main__":
    main(run)
