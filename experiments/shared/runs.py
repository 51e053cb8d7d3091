"""The runs of benchmarks that tune models: rows are tuned on and the model is evaluated, once.

In: params, a model, rows, a seed and a split's records. Out: evaluated items, which are kept in .shed/runs, so that a benchmark
that was stopped goes on.
"""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from shed import evaluation, finetuning, models, packed_lm, prompts
from shed.evaluation.lm_evaluation import evaluate
from shed.common.atomic_io import read_json, write_table
from shed.tuning.finetuning import TuningSettings, finetune
from shed.params import Params
from shed.valuation.proxy_game import code_digest
from shed.data.records import Record, read_records

KEPT = Path(".shed/runs")
CODE = [code_digest(Path(str(module.__file__))) for module in (evaluation, finetuning, models, packed_lm, prompts)]


def test_items(params: Params, model: str, ids: list[str] | None, seed: int) -> pd.DataFrame:
    """The test items of a model that was tuned on these pool records, as the final model is; None: of the untuned one."""
    return items(params, model, ids, seed, "test", read_records("data/prepared/test.jsonl"))


def items(params: Params, model: str, ids: list[str] | None, seed: int, split: str, asked_of: list[Record]) -> pd.DataFrame:
    """The items of other records, up to `evaluate.limit` of each task."""
    known = [
        params.finetune.model_dump(),
        params.evaluate.model_dump(),
        params.model.model_dump(),
        read_json("data/model.json"),
    ]
    asked = [CODE, model, ids, seed, *known, [record.id for record in asked_of]]
    path = KEPT / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    form, max_tokens = params.model.prompt, params.model.max_tokens
    with TemporaryDirectory() as folder:
        adapter = None
        if ids is not None:
            adapter = Path(folder) / "adapter"
            settings = TuningSettings(**params.finetune.model_dump() | {"seed": seed})
            finetune([pool[id] for id in ids], model, form, max_tokens, settings, adapter, "tuning")
        limit, batch_size = params.evaluate.limit, params.evaluate.batch_size
        found = evaluate(model, adapter, {split: asked_of}, form, max_tokens, limit, batch_size, [])
    KEPT.mkdir(parents=True, exist_ok=True)
    write_table(path, found)
    return found
