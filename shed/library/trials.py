"""The trial of a selection: it and its controls, each tuned and evaluated under several seeds.

In: an `Inputs`, settings, and the ids of a selection. Out: a `Verdict`.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.evaluation.verdict import Against, Control, Verdict, gains
from shed.library.inputs import Inputs
from shed.models.specs import LoraSettings
from shed.params import Params
from shed.selection.controls import random_rows, random_tokens
from shed.tuning.finetuning import TuningSettings

Draw: TypeAlias = Callable[[int], list[Record]]


class Trial:
    """What selections of a pool are tried with.

    Args:
        settings: of the tuning, the evaluation and the verdict, and the budget that the selection was made with.
    """

    def __init__(self, inputs: Inputs, settings: Params) -> None:
        self._inputs, self._settings = inputs, settings
        prepared, evaluation = inputs.prepared, settings.evaluate
        run = RunSettings(
            model=inputs.model,
            manifest=inputs.manifest,
            tuning=tuning_settings(settings),
            splits={"dev": prepared.dev, "test": prepared.test},
            limit=evaluation.limit,
            batch_size=evaluation.batch_size,
            tasks=evaluation.tasks,
            writing=Writing(**evaluation.written.model_dump()),
        )
        self._ledger = RunLedger(inputs.folder / "runs", run)

    def verdict(self, ids: Sequence[str]) -> Verdict:
        """The selection of these records against random rows, and against the whole pool if settings ask for it.

        Raises:
            ShedError: the verdict is off, or the selection is all that may be selected.
        """
        pool, lengths, settings = self._inputs.prepared.pool, self._inputs.lengths, self._settings
        seeds = range(1, settings.verdict.seeds + 1)
        if not seeds:
            raise ShedError("the verdict is off, since it has no seeds; give it at least 3")
        by_id = {record.id: record for record in pool}
        tokens_of = dict(zip(lengths["id"], lengths["response_tokens"], strict=True))
        selection = [by_id[id] for id in ids]
        fits = lengths["too_long"].eq(False) | settings.sample.too_long
        candidates = [record for record, one in zip(pool, fits, strict=True) if one]
        if len(selection) >= len(candidates):
            raise ShedError("the selection is all that may be selected, so that there is nothing to compare it with")
        tokens = sum(tokens_of[id] for id in ids)
        costs = lengths.loc[fits, "response_tokens"].to_numpy()
        draws = self._draws(candidates, costs, len(selection), tokens)
        own, chosen = self._items([selection] * len(seeds), seeds, "selection"), set(ids)
        against = {}
        for control, draw in draws.items():
            rows = [draw(seed) for seed in seeds]
            drawn = [record.id for one in rows for record in one]
            against[control] = Against(
                rows=len(drawn) / len(seeds),
                response_tokens=sum(tokens_of[id] for id in drawn) / len(seeds),
                shared=sum(id in chosen for id in drawn) / len(drawn),
                gains=gains(own, self._items(rows, seeds, control), drawn=control != "all_rows"),
            )
        return Verdict(seeds, len(selection), tokens, against)

    def _draws(self, candidates: Sequence[Record], costs: np.ndarray, rows: int, tokens: int) -> dict[Control, Draw]:
        """Each control's rows by their seed; first the control that has as much of what the budget counts."""
        draws: dict[Control, Draw] = {
            "random_rows": lambda seed: random_rows(candidates, rows, seed),
            "random_tokens": lambda seed: random_tokens(candidates, costs, tokens, seed),
        }
        if self._settings.sample.budget == "tokens":
            draws = dict(reversed(draws.items()))
        return draws | ({"all_rows": lambda seed: self._inputs.prepared.pool} if self._settings.verdict.full else {})

    def _items(self, rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
        """The items of a run for each seed, with `seed`."""
        pairs = track(list(zip(rows, seeds, strict=True)), f"verdict: {name}", "run")
        return pd.concat([self._ledger.items(one, seed).assign(seed=seed) for one, seed in pairs], ignore_index=True)


def tuning_settings(params: Params) -> TuningSettings:
    """The final tuning."""
    own = params.finetune
    lora = LoraSettings(own.r, own.alpha, own.modules)
    return TuningSettings(lora, own.lr, own.warmup_ratio, own.batch_size, own.epochs, own.seed)
