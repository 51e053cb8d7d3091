"""Verdict: the selection and its controls, each tuned and evaluated under several seeds, and what that shows."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from shed.common.atomic_io import write_json
from shed.data.records import Record, read_records
from shed.evaluation.verdict import Against, Control, Verdict, gains
from shed.params import Params
from shed.selection.controls import random_rows, random_tokens
from stages import main
from stages.shared.runs import items_of, run_ledger
from stages.shared.settings.model import model_spec

OFF = "not tested, since verdict.seeds is 0; one run cannot show it."
WHOLE = "not tested, since the selection is all that may be selected."


def run(params: Params) -> None:
    settings, spec = params.verdict, model_spec(params)
    pool, lengths = read_records("data/prepared/pool.jsonl"), pd.read_parquet("data/lengths.parquet").set_index("id")
    by_id, tokens_of = {record.id: record for record in pool}, lengths["response_tokens"].to_dict()
    selection = [by_id[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
    candidates = [record for record in pool if params.sample.too_long or not lengths.at[record.id, "too_long"]]
    if not settings.seeds or len(selection) >= len(candidates):
        write_json("metrics/verdict.json", {"sentence": WHOLE if settings.seeds else OFF, "seeds": 0})
        return
    costs = np.array([tokens_of[record.id] for record in candidates])
    tokens = sum(tokens_of[record.id] for record in selection)
    controls: dict[Control, Callable[[int], list[Record]]] = {
        "random_rows": lambda seed: random_rows(candidates, len(selection), seed),
        "random_tokens": lambda seed: random_tokens(candidates, costs, tokens, seed),
    }
    if params.sample.budget == "tokens":
        controls = dict(reversed(controls.items()))
    if settings.full:
        controls["all_rows"] = lambda seed: pool
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, spec, splits, params.evaluate.tasks)
    seeds = range(1, settings.seeds + 1)
    rows = {control: [draw(seed) for seed in seeds] for control, draw in controls.items()}
    own = items_of(ledger, [selection] * len(seeds), seeds, "verdict: selection")
    against = {
        control: Against(
            rows=sum(map(len, of_control)) / len(seeds),
            response_tokens=sum(tokens_of[record.id] for one in of_control for record in one) / len(seeds),
            shared=shared(of_control, selection),
            gains=gains(own, items_of(ledger, of_control, seeds, f"verdict: {control}"), drawn=control != "all_rows"),
        )
        for control, of_control in rows.items()
    }
    write_json("metrics/verdict.json", Verdict(seeds, len(selection), tokens, against).to_metrics())


def shared(controls: Sequence[Sequence[Record]], selection: Sequence[Record]) -> float:
    """The share of the controls' rows that the selection has, too."""
    own = {record.id for record in selection}
    ids = [record.id for control in controls for record in control]
    return sum(id in own for id in ids) / len(ids)


if __name__ == "__main__":
    main(run)
