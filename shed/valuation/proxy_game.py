"""The game that clusters play by their proxies, opened on a ledger.

In: the pool's clusters, the dev records, a model and a regime. Out: a game whose players are clusters, and whose every
evaluation is kept.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed.common.import_closure import code_digest
from shed.data.records import Record
from shed.data.tasks.combining import Combine
from shed.engine.coalition_trainer import CoalitionTrainer, load_trainer
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind
from shed.models.encoding import Encoded
from shed.models.parallel import threads_used
from shed.models.specs import ModelSpec
from shed.valuation.elsewhere.games import GameElsewhere, LoadGame, TrainerElsewhere
from shed.valuation.ledger import Ledger, LedgeredGame
from shed.valuation.tuning_game import TuningGame
from shed.workers.contract import Engine
from shed.workers.sameness import ModelThere

CODE = "shed.valuation.tuning_game"  # what computes a utility, with all that it imports


@dataclass(frozen=True)
class Setting:
    """All that the utilities of a game depend on, apart from its records.

    Attributes:
        model: the base model and the form in which it reads records.
        manifest: what identifies its weights.
        utility: what is measured on dev.
        regime: the training that utilities are measured in.
        tasks: the share of each dev task, by its records' source; empty: dev is one task.
        combine: whether utility is the tasks' mean, or the least gain among them.
    """

    model: ModelSpec
    manifest: dict[str, Any]
    utility: UtilityKind
    regime: Regime
    tasks: Mapping[str, float] = field(default_factory=dict)
    combine: Combine = "mean"

    def description(self) -> dict[str, Any]:
        """It as JSON values; of tasks that are not combined by their mean it says how."""
        found = asdict(self)
        if self.combine == "mean":
            del found["combine"]
        return found


@dataclass(frozen=True)
class ProxyGame:
    """An open game.

    Attributes:
        play: what estimators play; its players are the clusters.
        proxies: the N records that are tuned on.
        encoded: their tokens.
        owner: (N,) for each proxy its cluster.
        candidate_owner: (B,) for each candidate its cluster, in the order of an estimate's candidates.
        utility: what is measured.
        token_passes: of one FTE: a forward and a backward pass for each tuned token, and a forward pass for each of dev's.
    """

    play: LedgeredGame
    proxies: list[Record]
    encoded: Sequence[Encoded]
    owner: np.ndarray
    candidate_owner: np.ndarray
    utility: UtilityKind
    token_passes: int


@contextmanager
def open_game(
    clusters: pd.DataFrame,
    pool: Sequence[Record],
    dev: Sequence[Record],
    setting: Setting,
    ledger: Path,
    engine: Engine | None = None,
) -> Iterator[ProxyGame]:
    """Load the model and play its game, held by this process alone until the block ends.

    Args:
        clusters: a row for each pool record, in the pool's order, with `cluster` and `proxy`, and `candidate` where records
            that play no part should have marginals all the same.
        pool: the records that proxies are taken from.
        dev: the records that utility is measured on.
        setting: what else utilities depend on.
        ledger: the ledger's file; made if absent.
        engine: where coalitions are tuned; None: in this process. Utilities are the same.

    Raises:
        ShedError: a record cannot be tuned on or measured, or the model is of another shape.
    """
    proxies = [record for record, chosen in zip(pool, clusters["proxy"], strict=True) if chosen]
    owner = clusters.loc[clusters["proxy"], "cluster"].to_numpy()
    aside = clusters["candidate"] if "candidate" in clusters else pd.Series(False, index=clusters.index)
    candidates = [record for record, chosen in zip(pool, aside, strict=True) if chosen]
    order = np.argsort([record.id for record in proxies], kind="stable")
    proxies, owner = [proxies[i] for i in order], owner[order]
    with _loaded(setting, proxies, owner.tolist(), dev, candidates, engine) as (trainer, game):
        description = {
            "proxies": [record.id for record in proxies],
            "dev": [record.id for record in dev],
            **({} if setting.utility == "dev_loss" else {"options": [[*record.choices, record.answer] for record in dev]}),
            "dtype": trainer.dtype,
            "threads": threads_used(),
            "code": code_digest(CODE),
            "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
            **setting.description(),
            **({"sources": [record.source for record in dev]} if setting.tasks else {}),
        }
        others = hashlib.sha256("\n".join(record.id for record in candidates).encode()).hexdigest()[:16]
        with Ledger(ledger).play(game, description, others) as play:
            passes = 2 * setting.regime.epochs * int(trainer.lengths.sum()) + trainer.dev_length
            candidate_owner = clusters.loc[aside, "cluster"].to_numpy()
            yield ProxyGame(play, proxies, trainer.members, owner, candidate_owner, setting.utility, passes)


@contextmanager
def _loaded(
    setting: Setting,
    proxies: Sequence[Record],
    owner: Sequence[int],
    dev: Sequence[Record],
    candidates: Sequence[Record],
    engine: Engine | None,
) -> Iterator[tuple[CoalitionTrainer, TuningGame]]:
    """The game, and the trainer that it plays with, or what is known here of the one that workers hold."""
    ids = [record.id for record in proxies]
    of = (setting.utility, setting.regime, candidates, dict(setting.tasks), setting.combine)
    if engine is None:
        trainer = load_trainer(setting.model, proxies, dev, *of)
        yield trainer, TuningGame(trainer, owner, ids)
        return
    with engine.holding(LoadGame(ModelThere.of(setting.model), proxies, owner, dev, *of)) as workers:
        outline: TrainerElsewhere = workers.ask("outline")
        yield outline, GameElsewhere(workers, outline, owner, ids)
