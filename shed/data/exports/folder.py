"""Selected rows as a folder in the Hugging Face hub's layout: a card, a folder for each form, and configs of trainers.

In: records with what was measured of them. Out: the folder, whole, and what became of the rows in each form.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from shed.common.atomic_io import replacing, write_text
from shed.common.errors import ShedError
from shed.data.exports.card import CardFacts, FormCounts, card
from shed.data.exports.files import write_parquet, write_rows
from shed.data.exports.forms import FORMS, Fields, Form, TrainOn, Unfit, fields
from shed.data.exports.trainers import TrainerSettings, WeightedRows, write_configs
from shed.data.records import Record

OWN_COLUMNS = ("cluster", "score", "rating", "reason")


@dataclass(frozen=True)
class ExportRow:
    """A selected record and what is known of it; None is what was not measured."""

    record: Record
    cluster: int | None = None
    score: float | None = None
    rating: float | None = None
    reason: str | None = None

    @property
    def columns(self) -> dict[str, Any]:
        known = {"id": self.record.id, "source": self.record.source}
        return known | {name: getattr(self, name) for name in OWN_COLUMNS}


def export_rows(records: Sequence[Record], table: pd.DataFrame) -> list[ExportRow]:
    """The selected records with the table's measurements, in the table's order.

    Args:
        records: with every record of the table among them.
        table: `id`, and of `cluster`, `score`, `rating` and `reason` those that there are; NaN is what was not measured.
    """
    by_id = {record.id: record for record in records}
    names = [name for name in OWN_COLUMNS if name in table.columns]
    rows = []
    for id, *values in table[["id", *names]].itertuples(index=False):
        plain = {name: None if pd.isna(value) else value for name, value in zip(names, values, strict=True)}
        kinds = {"cluster": int, "score": float, "rating": float, "reason": str}
        rows.append(
            ExportRow(by_id[id], **{name: None if value is None else kinds[name](value) for name, value in plain.items()})
        )
    return rows


def export(
    rows: Sequence[ExportRow],
    folder: Path,
    forms: Sequence[Form],
    facts: CardFacts,
    tuning: TrainerSettings,
    train_on: TrainOn = "all",
) -> dict[Form, FormCounts]:
    """Write the folder in place of what was there; a form that holds no row gets no files.

    Args:
        rows: at least one.
        folder: where to.
        forms: the forms to write.
        facts: for the card.
        tuning: for the trainers' configs.
        train_on: how multi-turn records were read: every answer is trained, or the last alone.

    Returns:
        what became of the rows in each form.

    Raises:
        ShedError: there is no row, a form is not known, or the folder cannot be written.
    """
    if unknown := [form for form in forms if form not in FORMS]:
        raise ShedError(f"no form is called {unknown[0]!r}; there are {', '.join(FORMS)}", "forms to export")
    if not rows:
        raise ShedError(f"there is no row to export to {folder}; select some")
    counts: dict[Form, FormCounts] = {}
    measured = [name for name in rows[0].columns if any(row.columns[name] is not None for row in rows)]
    with replacing(folder) as temporary:
        temporary.mkdir()
        weighted = WeightedRows(0, 0)
        for form in forms:
            counts[form] = FormCounts()
            held = _held(rows, form, train_on, measured, counts[form])
            if held:
                write_rows(temporary / form, held)
            if held and form == "messages":
                weighted = _weighted(rows, held, temporary / "configs")
        write_configs(temporary / "configs", tuning, counts, weighted, train_on)
        sources = Counter(row.record.source for row in rows)
        write_text(temporary / "README.md", card(facts, sources, counts, train_on))
    return counts


def _held(
    rows: Sequence[ExportRow], form: Form, train_on: TrainOn, measured: Sequence[str], counts: FormCounts
) -> list[dict[str, Any]]:
    """The rows that the form holds, with our columns; counts are filled in."""
    held: list[tuple[Fields, ExportRow]] = []
    for row in rows:
        try:
            held.append((fields(row.record, form, train_on), row))
        except Unfit as error:
            counts.left_out[str(error)] += 1
    counts.rows = len(held)
    taken = {key for own, _ in held for key in own}
    names = {name: _free_name(name, taken) for name in measured}
    return [own | {names[name]: row.columns[name] for name in measured} for own, row in held]


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"shed_{name}"
    return name


def _weighted(rows: Sequence[ExportRow], held: list[dict[str, Any]], configs: Path) -> WeightedRows:
    """Counts for trainers; where axolotl cannot train all rows, those that it can get a file of their own."""
    weights = [{turn.weight for turn in row.record.messages if turn.role == "assistant"} for row in rows]
    plain = [row for row, own in zip(held, weights, strict=True) if own <= {0, 1}]
    if plain and len(plain) < len(held):
        configs.mkdir()
        write_parquet(configs / "axolotl.parquet", plain)
    return WeightedRows(sum(own != {1} for own in weights), len(held) - len(plain))
