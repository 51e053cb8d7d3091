"""The scoring game as params and the pipeline's files describe it, for the stages that play it."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd

from shed.files import read_json
from shed.params import Params
from shed.proxy_game import ProxyGame, Setting, open_game
from shed.records import read_records
from shed.valuation.training import Regime

LEDGER = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "ledger.sqlite"  # DVC_ROOT: shared by experiments in copies


def scoring_game(params: Params, clusters: pd.DataFrame) -> AbstractContextManager[ProxyGame]:
    score, model = params.score, params.model
    regime = Regime(**score.tuning.model_dump(), seed=score.seed)
    return open_game(
        clusters,
        read_records("data/prepared/pool.jsonl"),
        read_records("data/prepared/dev.jsonl")[: score.dev_rows],
        Setting(model.name, read_json("data/model.json"), model.prompt, model.max_tokens, score.utility, regime),
        LEDGER,
    )
