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
from shed.valuation.utility import Kind

LEDGER = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "ledger.sqlite"  # DVC_ROOT: shared by experiments in copies


def scoring_game(params: Params, clusters: pd.DataFrame) -> AbstractContextManager[ProxyGame]:
    """The game in the scoring regime."""
    score = params.score
    return game_of(params, clusters, score.utility, Regime(**score.tuning.model_dump(), seed=score.seed))


def game_of(params: Params, clusters: pd.DataFrame, utility: Kind, regime: Regime) -> AbstractContextManager[ProxyGame]:
    """The game of the clusters' proxies and the dev records, in any regime."""
    model = params.model
    return open_game(
        clusters,
        read_records("data/prepared/pool.jsonl"),
        read_records("data/prepared/dev.jsonl")[: params.score.dev_rows],
        Setting(model.name, read_json("data/model.json"), model.prompt, model.max_tokens, utility, regime),
        LEDGER,
    )
