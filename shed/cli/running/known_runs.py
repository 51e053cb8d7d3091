"""Which runs of the verdict are in the ledger of runs, so that they cost nothing.

In: params, and whether the selection will be another. Out: how many runs the verdict asks for, and how many are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shed.data.records import Record, read_records
from shed.params import Params
from shed.settings.costs.times import RunsLeft

NEEDED = ("data/model.json", "data/lengths.parquet", "data/prepared/pool.jsonl")


@dataclass(frozen=True)
class Runs:
    """Runs that tune and evaluate a model.

    Attributes:
        asked: of the verdict, all.
        there: of these, in the ledger.
        final: whether the run of the final tuning is in the ledger, so that the stage `evaluate` evaluates nothing.
        shared: whether the final tuning is one of the verdict's runs that are not there; the stage `evaluate` makes it.
        full: runs of the whole pool that are not there.
    """

    asked: int
    there: int
    final: bool
    shared: bool
    full: int

    @property
    def left(self) -> int:
        """Runs that are to be made, apart from those of the whole pool."""
        return self.asked - self.there - self.full

    def to_make(self, *, evaluates: bool) -> RunsLeft:
        """What the stages have to make.

        Args:
            evaluates: whether the stage `evaluate` runs, too, whose run may be one of the verdict's.
        """
        return RunsLeft(self.left - (self.shared and evaluates), self.full, not self.final)


def known_runs(params: Params, *, pool_changes: bool, selection_changes: bool) -> Runs:
    """In the project's folder, of its records.

    Args:
        pool_changes: records, lengths or the prompt fits that are asked for will be made anew, so that no run can be looked up.
        selection_changes: the selection will be made anew: its runs are not known, and of the controls only that of as many
            rows, where the budget is in rows.
    """
    seeds = range(1, (0 if params.sampler == "full" else params.verdict.seeds) + 1)
    controls = 3 if params.verdict.full else 2
    asked, is_seed = len(seeds) * (1 + controls), params.finetune.seed in seeds
    full = len(seeds) * params.verdict.full
    if pool_changes or not seeds or not all(Path(name).is_file() for name in NEEDED):
        return Runs(asked, 0, False, is_seed, full)
    return _looked_up(params, seeds, asked, selection_changes)


def _looked_up(params: Params, seeds: Sequence[int], asked: int, selection_changes: bool) -> Runs:
    import pandas as pd

    from shed.selection.controls import random_rows, random_tokens
    from stages.shared.left_out import read_left_out
    from stages.shared.runs import run_ledger
    from stages.shared.selecting import sample_size
    from stages.shared.settings.model import model_spec

    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("pool", "dev", "test")}
    pool, lengths = splits.pop("pool"), pd.read_parquet("data/lengths.parquet").set_index("id")
    allowed = read_left_out(params.sample, lengths.reset_index()).isna()
    kept = [record for record in pool if allowed[record.id]]
    ledger = run_ledger(params, model_spec(params), splits, params.evaluate.tasks)

    def count(rows: dict[int, list[Record]]) -> int:
        return sum(ledger.has(own, seed) for seed, own in rows.items())

    final, there = False, 0
    if not selection_changes:
        by_id = {record.id: record for record in pool}
        selection = [by_id[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
        costs = lengths.loc[[record.id for record in kept], "response_tokens"].to_numpy(dtype=int)
        tokens = int(lengths.loc[[record.id for record in selection], "response_tokens"].sum())
        there += count(dict.fromkeys(seeds, selection))
        there += count({seed: random_tokens(kept, costs, tokens, seed) for seed in seeds})
        final, size = ledger.has(selection, params.finetune.seed), len(selection)
    else:
        table = lengths.loc[[record.id for record in kept]]
        size = sample_size(params, table).amount if params.sample.budget == "rows" and params.sampler != "full" else 0
    if size:
        there += count({seed: random_rows(kept, size, seed) for seed in seeds})
    full = sum(not ledger.has(pool, seed) for seed in seeds) if params.verdict.full else 0
    there += len(seeds) - full if params.verdict.full else 0
    return Runs(asked, there, final, params.finetune.seed in seeds and not final, full)
