"""Lengths: the tokens of each pool record, and which records the context cuts."""

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.models.checks import check_model
from shed.models.costs import record_lengths
from shed.params import Params
from shed.selection.candidates import totals
from stages import main
from stages.shared.model import model_spec


def run(params: Params) -> None:
    lengths = record_lengths(check_model(model_spec(params)), read_records("data/prepared/pool.jsonl"))
    write_table("data/lengths.parquet", lengths)
    write_json("metrics/lengths.json", totals(lengths))


if __name__ == "__main__":
    main(run)
