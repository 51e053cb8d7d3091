"""Verdict: the selection and its controls, each tuned and evaluated under several seeds, and what that shows."""

from collections.abc import Callable, Sequence

import pandas as pd

from shed.common.atomic_io import write_json
from shed.common.progress import track
from shed.data.records import Record, read_records
from shed.evaluation.run_ledger import RunLedger
from shed.evaluation.verdict import Against, Control, Verdict, gains
from shed.models.checks import check_model
from shed.params import Params
from shed.selection.controls import random_rows, random_tokens
from stages import FINAL_TUNING, main, naming_keys
from stages.shared.model import model_spec
from stages.shared.runs import run_ledger

OFF = "not tested, since verdict.seeds is 0; one run cannot show it."
WHOLE = "not tested, since the selection is the whole pool."


def run(params: Params) -> None:
    settings, spec = params.verdict, model_spec(params)
    pool = read_records("data/prepared/pool.jsonl")
    by_id = {record.id: record for record in pool}
    selection = [by_id[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
    if not settings.seeds or len(selection) == len(pool):
        write_json("metrics/verdict.json", {"sentence": WHOLE if settings.seeds else OFF, "seeds": 0})
        return
    encoder = check_model(spec)
    lengths: dict[str, int] = {}

    def tokens_of(record: Record) -> int:
        if record.id not in lengths:
            lengths[record.id] = encoder.encode(record, end=True).response_length
        return lengths[record.id]

    tokens = sum(map(tokens_of, selection))
    controls: dict[Control, Callable[[int], list[Record]]] = {
        "random_rows": lambda seed: random_rows(pool, len(selection), seed),
        "random_tokens": lambda seed: random_tokens(pool, tokens, seed, tokens_of),
    }
    if settings.full:
        controls["all_rows"] = lambda seed: pool
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, spec, splits, params.evaluate.tasks)
    seeds = range(1, settings.seeds + 1)
    rows = {control: [draw(seed) for seed in seeds] for control, draw in controls.items()}
    own = items_of(ledger, [selection] * len(seeds), seeds, "selection")
    against = {
        control: Against(
            rows=sum(map(len, of_control)) / len(seeds),
            response_tokens=sum(tokens_of(record) for one in of_control for record in one) / len(seeds),
            shared=shared(of_control, selection),
            gains=gains(own, items_of(ledger, of_control, seeds, control)),
        )
        for control, of_control in rows.items()
    }
    write_json("metrics/verdict.json", Verdict(seeds, len(selection), tokens, against).to_metrics())


def items_of(ledger: RunLedger, rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
    """The items of a run for each seed."""
    with naming_keys(FINAL_TUNING):
        runs = [
            ledger.items(own, seed).assign(seed=seed)
            for own, seed in track(list(zip(rows, seeds, strict=True)), f"verdict: {name}", "run")
        ]
    return pd.concat(runs, ignore_index=True)


def shared(controls: Sequence[Sequence[Record]], selection: Sequence[Record]) -> float:
    """The share of the controls' rows that the selection has, too."""
    own = {record.id for record in selection}
    ids = [record.id for control in controls for record in control]
    return sum(id in own for id in ids) / len(ids)


if __name__ == "__main__":
    main(run)
