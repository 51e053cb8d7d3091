"""The clusters' games as params and the pipeline's files describe them, for the stages that play them."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json
from shed.data.records import read_records
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind
from shed.params import Params
from shed.valuation.proxy_game import ProxyGame, Setting, open_game
from stages.shared.settings.dev_tasks import dev_tasks
from stages.shared.settings.engine import engine_of
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

LEDGER = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "ledger.sqlite"  # DVC_ROOT: shared by experiments in copies


def scoring_game(params: Params, clusters: pd.DataFrame) -> AbstractContextManager[ProxyGame]:
    """The game in the scoring regime."""
    return game_of(params, clusters, params.score.utility, scoring_regime(params, params.score.seed))


def game_of(params: Params, clusters: pd.DataFrame, utility: UtilityKind, regime: Regime) -> AbstractContextManager[ProxyGame]:
    """The game of the clusters' proxies and the dev records, in any regime."""
    return open_game(
        clusters,
        read_records("data/prepared/pool.jsonl"),
        read_records("data/prepared/dev.jsonl")[: params.score.dev_rows],
        Setting(model_spec(params), read_json("data/model.json"), utility, regime, *dev_tasks()),
        LEDGER,
        engine_of(params),
    )
