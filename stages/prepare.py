"""Prepare: three disjoint splits of records, what was rejected and why, and the data card.

What cannot be used later is refused here: a model that cannot be tuned, records that its prompt form cannot hold.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json, write_json, write_table
from shed.common.errors import ShedError
from shed.common.memory import give_back
from shed.data.faults import damage
from shed.data.keeping.spool import write_items
from shed.data.preparation import prepare
from shed.data.readers import BadRecord, Reading
from shed.data.records import Record
from shed.data.splits import Where, licences, read_split
from shed.data.splitting.split_off import told as off_pool_told
from shed.data.tasks.dev_tasks import check_records, shares, spread, to_file
from shed.data.tasks.documents import without_labels
from shed.data.tasks.names import check_names
from shed.evaluation.named_tasks import task_questions
from shed.models.checks import check_cut, check_embedder, check_model, templated
from shed.models.encoding import token_lengths
from shed.models.specs import LoraSettings
from shed.params import Params
from shed.settings.reading import reader_settings
from stages import FINAL_TUNING, KEYS, main, naming_keys
from stages.shared.paths import located
from stages.shared.settings.model import model_spec
from stages.shared.times import times_told

Through = Callable[[str, Iterator[Record | BadRecord]], Iterator[Record | BadRecord]]
RESULTS = [Path(f"data/prepared/{name}") for name in ("pool.jsonl", "dev.jsonl", "test.jsonl", "faults.csv")]
RESULTS += [Path("data/prepared/dev_tasks.json"), Path("metrics/data.json")]


@contextmanager
def _telling_of_earlier_results() -> Iterator[None]:
    """If the run stops, say which results are of an earlier one: they stay, so that nothing is lost."""
    there = {path: path.stat().st_mtime_ns for path in RESULTS if path.exists()}
    try:
        yield
    except ShedError:
        if stay := [str(path) for path, at in there.items() if path.exists() and path.stat().st_mtime_ns == at]:
            print(f"shed: still of an earlier run: {', '.join(stay)}", file=sys.stderr)
        raise


@_telling_of_earlier_results()
def run(params: Params, through: Through | None = None) -> None:
    """Prepare the splits.

    Args:
        through: what a split's rows go through first, by its name, as those of `shed check` do; then no time is told.
    """
    rejects = Path("data/prepared/rejects.jsonl")
    rejects.unlink(missing_ok=True)  # if this run stops before it writes its own, another run's are not taken for them
    data, spec = params.data, model_spec(params)
    encoder = check_model(spec, [LoraSettings(1, 1, params.regime.modules, params.regime.depth)])  # of whatever rank
    with naming_keys(FINAL_TUNING):
        check_model(spec, [LoraSettings(1, 1, params.finetune.modules)])
    check_embedder(located(params.embed.model), read_json("data/embedder.json").get("revision"))
    paths: dict[str, Where | None] = {"pool": data.pool, "dev": data.dev, "test": data.test}
    tasks = data.dev if isinstance(data.dev, dict) else {}
    readings = {split: Reading() for split in paths}
    settings = reader_settings(data.reading)

    def read(split: str, where: Where) -> Iterator[Record | BadRecord]:
        rows = _with_keys(read_split(where, settings, readings[split], located, split))
        if spec.form == "plain":
            rows = (without_labels(row) if isinstance(row, Record) else row for row in rows)
        return rows if through is None else through(split, rows)

    questions = task_questions(params.evaluate.tasks, located)
    prepared = prepare(
        read("pool", data.pool),
        None if data.dev is None else read("dev", data.dev),
        None if data.test is None else read("test", data.test),
        pool_rows=data.pool_rows,
        dev_rows=data.dev_rows,
        test_rows=data.test_rows,
        near=data.near_duplicates,
        seed=data.seed,
        tasks=questions,
        unfit=encoder.unfit,
        folder=rejects.parent,
    )
    for line in dict.fromkeys(line for reading in readings.values() for line in reading.told()):
        print(f"shed: {line}", file=sys.stderr)
    write_items(rejects, prepared.rejects.kept)
    for split in paths:
        kept, asked = len(getattr(prepared, split)), getattr(data, f"{split}_rows")
        fewer = f"; fewer than data.{split}_rows, {asked:,}" if asked is not None and kept < asked else ""
        if split not in prepared.off_pool:
            print(f"shed: {prepared.counts_told(split)}{fewer}", file=sys.stderr)
    prepared.check(data.max_rejects)
    check_names(questions, prepared.test)
    if tasks:
        check_records(tasks, prepared.dev)
        prepared = replace(prepared, dev=spread(prepared.dev))
    for line in off_pool_told(prepared.off_pool):
        print(f"shed: {line}", file=sys.stderr)
    for split, own in prepared.off_pool.items():
        if own.warning is not None:
            print(f"shed: warning: {split}: {own.warning} (data.near_duplicates in params.yaml)", file=sys.stderr)
    pool, faults = damage(prepared.pool, data.faults.share, data.faults.kinds, data.faults.sources, data.seed)
    splits = {"pool": pool, "dev": prepared.dev, "test": prepared.test}
    lengths = {split: token_lengths(encoder, records) for split, records in splits.items()}
    warnings = {split: check_cut(split, lengths[split], encoder.limit) for split in splits}
    write_items("data/prepared/pool.jsonl", pool)
    write_items("data/prepared/dev.jsonl", prepared.dev)
    write_items("data/prepared/test.jsonl", prepared.test)
    write_json("data/prepared/dev_tasks.json", to_file(tasks, data.dev_combine))
    write_table("data/prepared/faults.csv", pd.DataFrame(faults.items(), columns=["id", "fault"]))
    card = replace(prepared, pool=pool).card(
        {split: licences(path or data.pool, located) for split, path in paths.items()},
        {split: reading.forms for split, reading in readings.items()},
    )
    for split, records in splits.items():
        card[split] |= lengths[split]
        print(
            f"shed: {split}: {len(records):,} records of {lengths[split]['tokens_mean']:.0f} tokens on average, at most "
            f"{lengths[split]['tokens_max']}; {lengths[split]['share_cut']:.0%} are cut to fit {encoder.limit}, "
            f"{lengths[split]['share_response_cut']:.0%} within their responses",
            file=sys.stderr,
        )
        if count := templated(encoder, records):
            print(
                f"shed: warning: {split}: {count:,} records spell control tokens of the model, which stay text; if a template "
                "has written the rows, give their turns as messages",
                file=sys.stderr,
            )
        if warning := warnings[split]:
            card[split]["warning"] = warning
            print(f"shed: warning: {split}: {warning} (model.max_tokens in params.yaml)", file=sys.stderr)
    if tasks:
        card["dev"]["weights"] = shares(tasks)
    if data.dev_combine == "worst":
        card["dev"]["combine"] = "worst"
    card["pool"]["faults"] = dict(sorted(Counter(faults.values()).items()))
    write_json("metrics/data.json", card)
    if through is not None:
        return
    del pool, prepared, splits, records  # the model comes into memory after them
    give_back()
    print(f"shed: {times_told(params, encoder)}", file=sys.stderr)


def _with_keys(rows: Iterable[Record | BadRecord]) -> Iterator[Record | BadRecord]:
    """The rows; a reason that a setting would mend names its key."""
    for row in rows:
        if isinstance(row, BadRecord) and row.setting is not None:
            key = KEYS[row.setting]
            own = key.rpartition(".")[2]
            yield replace(row, reason=f"{row.reason} ({key}, or `{own}` of the source in a recipe)")
        else:
            yield row


if __name__ == "__main__":
    main(run)
