"""Runs of studies: a model is tuned on some rows of the pool as the final model is, and evaluated, through the ledger of runs.

In: params, a model, ids of rows, a seed and the records to evaluate on. Out: a row for each evaluated item.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from shed.data.records import Record, read_records
from shed.models.specs import ModelSpec
from shed.params import Params
from stages import FINAL_TUNING, naming_keys
from stages.shared.runs import run_ledger


def tuned_items(
    params: Params,
    spec: ModelSpec,
    ids: Sequence[str] | None,
    seed: int,
    splits: Mapping[str, Sequence[Record]],
    named: Sequence[str] = (),
) -> pd.DataFrame:
    """The items of a model that was tuned on the pool records `ids` as the final model is, under another seed.

    Args:
        ids: None: the untuned model is evaluated.
        splits, named: the records and the lm-eval tasks to evaluate on; see `shed.evaluation.lm_evaluation.evaluate`.
    """
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")} if ids else {}
    with naming_keys(FINAL_TUNING):
        return run_ledger(params, spec, splits, named).items([pool[id] for id in ids or ()], seed)
