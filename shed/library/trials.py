"""The trial of a selection: it and its controls, each tuned and evaluated under several seeds.

In: an `Inputs`, settings, and the ids of a selection. Out: a `Verdict`.
"""

from collections.abc import Sequence

import pandas as pd

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.evaluation.trial import Trial
from shed.evaluation.verdict import Verdict
from shed.library.inputs import Inputs
from shed.params import Params
from shed.settings.tuning import tuning_settings


def verdict(inputs: Inputs, settings: Params, ids: Sequence[str], allowed: "pd.Series[bool]") -> Verdict:
    """The selection of these records against random rows, and against the whole pool if settings ask for it.

    Args:
        settings: of the tuning, the evaluation and the verdict, and the budget that the selection was made with.
        allowed: whether each record of the pool may be selected, by its id.

    Raises:
        ShedError: the verdict is off, or the selection is all that may be selected.
    """
    pool, lengths = inputs.prepared.pool, inputs.lengths
    seeds = range(1, settings.verdict.seeds + 1)
    if not seeds:
        raise ShedError("the verdict is off, since it has no seeds; give it at least 3")
    by_id = {record.id: record for record in pool}
    candidates = [record for record in pool if allowed[record.id]]
    if len(ids) >= len(candidates):
        raise ShedError("the selection is all that may be selected, so that there is nothing to compare it with")
    tokens_of = dict(zip(lengths["id"], lengths["response_tokens"], strict=True))
    trial = Trial(candidates, tokens_of, pool if settings.verdict.full else None, settings.sample.budget == "tokens")
    ledger = _ledger(inputs, settings)

    def items(rows: Sequence[Sequence[Record]], of_seeds: Sequence[int], name: str) -> pd.DataFrame:
        return ledger.items_of(rows, of_seeds, f"verdict: {name}")

    return trial.verdict([by_id[id] for id in ids], seeds, items)


def _ledger(inputs: Inputs, settings: Params) -> RunLedger:
    prepared, own = inputs.prepared, settings.evaluate
    run = RunSettings(
        model=inputs.model,
        manifest=inputs.manifest,
        tuning=tuning_settings(settings.finetune, settings.finetune.seed),
        splits={"dev": prepared.dev, "test": prepared.test},
        limit=own.limit,
        batch_size=own.batch_size,
        tasks=own.tasks,
        writing=Writing(**own.written.model_dump()),
    )
    return RunLedger(inputs.folder / "runs", run)
