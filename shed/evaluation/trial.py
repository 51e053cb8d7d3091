"""The trial of a selection: it and its controls, each tuned and evaluated under several seeds.

In: records, what they cost, and what makes the items of runs. Out: a `Verdict`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shed.data.records import Record
from shed.evaluation.verdict import Against, Control, Verdict, gains
from shed.selection.controls import random_rows, random_tokens

Items = Callable[[Sequence[Sequence[Record]], Sequence[int], str], pd.DataFrame]
OF_ROWS: Control = "random_rows"
OF_TOKENS: Control = "random_tokens"
OF_ALL: Control = "all_rows"


@dataclass(frozen=True)
class Trial:
    """What a selection is compared with.

    Attributes:
        candidates: the records that could have been selected, of which controls are drawn.
        tokens_of: the response tokens of each record of the pool, by its id.
        pool: all of it, where it is a control, too; None: it is not.
        by_tokens: the selection's budget was of response tokens, so that the control with as many of these decides.
    """

    candidates: Sequence[Record]
    tokens_of: Mapping[str, int]
    pool: Sequence[Record] | None
    by_tokens: bool

    def verdict(self, selection: Sequence[Record], seeds: Sequence[int], items: Items) -> Verdict:
        """The selection against its controls.

        Args:
            selection: fewer records than there are candidates.
            seeds: three or more.
            items: of runs that tune on some rows under each seed; it is also told what the runs are of.
        """
        tokens = self._tokens(selection)
        rows = {control: [draw(seed) for seed in seeds] for control, draw in self._draws(len(selection), tokens).items()}
        own, chosen = items([selection] * len(seeds), seeds, "selection"), {record.id for record in selection}
        against: dict[Control, Against] = {}
        for control, of_seeds in rows.items():
            drawn = [record for of_seed in of_seeds for record in of_seed]
            against[control] = Against(
                rows=len(drawn) / len(seeds),
                response_tokens=self._tokens(drawn) / len(seeds),
                shared=sum(record.id in chosen for record in drawn) / len(drawn),
                gains=gains(own, items(of_seeds, seeds, control), drawn=control != OF_ALL),
            )
        return Verdict(seeds, len(selection), tokens, against)

    def _draws(self, rows: int, tokens: int) -> dict[Control, Callable[[int], Sequence[Record]]]:
        """Each control's rows by their seed; first the control that has as much of what the budget counts."""
        costs = np.array([self.tokens_of[record.id] for record in self.candidates])
        draws: dict[Control, Callable[[int], Sequence[Record]]] = {
            OF_ROWS: lambda seed: random_rows(self.candidates, rows, seed),
            OF_TOKENS: lambda seed: random_tokens(self.candidates, costs, tokens, seed),
        }
        if self.by_tokens:
            draws = dict(reversed(draws.items()))
        if (pool := self.pool) is not None:
            draws[OF_ALL] = lambda seed: pool
        return draws

    def _tokens(self, records: Sequence[Record]) -> int:
        return int(sum(self.tokens_of[record.id] for record in records))
