"""The way of a record through the pipeline, as far as its stages have run.

In: the rows of prepared files that are of one record. Out: plain values: what `prepare` did with it, its tokens, cluster,
rating and neighbours, and whether and why it was selected.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed.cli.project import Project
from shed.cli.results.decision import Choice, Decision, decide
from shed.cli.results.finding import REJECTS, Found
from shed.cli.results.pool_lines import rows_at
from shed.common.atomic_io import read_json
from shed.common.errors import ShedError
from shed.data.records import from_row, read_records
from shed.selection.candidates import LeastFit

NEIGHBOURS = 5
REASONS = {  # what a reason of rejects.jsonl means
    "exact_duplicate": "the same record was read before in this split",
    "normalised_duplicate": "a record was read before that differs in case, spacing or Unicode form alone",
    "near_duplicate": "it is much like a record that was read before",
    "not_drawn": "it can be used, but the draw of as many rows as params ask for did not take it",
    "empty_response": "its response is empty",
    "empty_prompt": "nothing is asked",
    "empty_choice": "one of its options is empty",
    "equal_choices": "two of its options are equal",
}


def story(project: Project, rows: Sequence[Found]) -> dict[str, Any]:
    """All that is known of one record.

    Args:
        rows: all with its id, or a single one that is no record.
    """
    kept = next((one for one in rows if one.file != REJECTS), None)
    first = kept or rows[0]
    record = first.record
    told: dict[str, Any] = {
        "id": first.id,
        "source": first.row["source"],
        "origin": first.row["origin"],
        "prompt": first.says,
        "response": None if record is None else record.response,
        "kept_in": None if kept is None else kept.file,
        "set_aside": [set_aside(one) for one in rows if one.file == REJECTS],
    }
    if kept is None or kept.id is None or kept.file != "pool":
        return told
    tables = _Tables(project)
    clusters = tables["clusters.parquet"]
    if clusters is not None and clusters["id"].iloc[kept.place : kept.place + 1].tolist() != [kept.id]:
        return told | {"of_another_pool": True}
    faults = tables["prepared/faults.csv"]
    if faults is not None and (own := faults.loc[faults["id"] == kept.id, "fault"]).size:
        told["fault"] = str(own.iloc[0])
    return (
        told
        | _tokens(tables, kept.id)
        | _prompt_fit(tables, kept.id)
        | _cluster(tables, kept.id)
        | _rating(tables, kept.id)
        | _selection(tables, kept.id)
        | {"neighbours": neighbours(tables, kept.place)}
    )


def set_aside(row: Found) -> dict[str, Any]:
    """Why a row was set aside, in the words of rejects.jsonl and in plain ones."""
    reason = str(row.row["reason"])
    where, _, what = reason.partition("_")
    meaning = REASONS.get(reason, "")
    if not meaning and where == "in" and what:
        meaning = f"its prompt is in {what}, too, and what is measured on must not be selected"
    elif not meaning and where == "near" and what:
        meaning = f"its prompt is much like one in {what}"
    own = {"split": row.split, "reason": reason, "meaning": meaning, "origin": row.row["origin"]}
    return own | {key: row.row[key] for key in ("of", "similarity") if key in row.row}


def neighbours(tables: "_Tables", place: int) -> list[dict[str, Any]] | None:
    """The pool's records that are nearest by their embeddings, with the cosine similarity; None without embeddings."""
    path = tables.project.root / "data/embeddings.npy"
    if not path.is_file():
        return None
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    if place >= len(vectors):
        return None
    likeness = np.asarray(vectors @ vectors[place])
    likeness[place] = -np.inf
    count = min(NEIGHBOURS, len(vectors) - 1)
    near = np.flatnonzero(likeness >= np.partition(likeness, -count)[-count]) if count else np.empty(0, dtype=int)
    nearest = near[np.argsort(-likeness[near], kind="stable")][:count]
    rows = rows_at(tables.project.path("data/prepared/pool.jsonl"), nearest.tolist())
    selection = tables["selection.parquet"]
    selected = None if selection is None else set(selection["id"])
    return [
        {
            "id": rows[place]["id"],
            "similarity": float(likeness[place]),
            "selected": None if selected is None else rows[place]["id"] in selected,
            "prompt": from_row(rows[place]).prompt,
        }
        for place in nearest.tolist()
        if place in rows
    ]


class _Tables:
    """The project's tables by their names in data/, each read once; None where one is not there."""

    def __init__(self, project: Project) -> None:
        self.project, self._read = project, dict[str, pd.DataFrame | None]()

    def __getitem__(self, name: str) -> pd.DataFrame | None:
        if name not in self._read:
            path = self.project.root / "data" / name
            read = pd.read_csv if path.suffix == ".csv" else _read_parquet
            self._read[name] = read(path) if path.is_file() else None
        return self._read[name]

    def there(self, name: str) -> pd.DataFrame:
        """Of a table that must be there."""
        table = self[name]
        if table is None:
            raise ShedError(f"data/{name} is not there")
        return table

    def row(self, name: str, id: str) -> pd.Series | None:
        table = self[name]
        return None if table is None or not (own := table[table["id"] == id]).size else own.iloc[0]


def _read_parquet(path: Path) -> pd.DataFrame:
    """As pandas does it, without Arrow's data sets, which take a while to load."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table: pd.DataFrame = file.read(use_threads=False).to_pandas()
    return table


def _tokens(tables: _Tables, id: str) -> dict[str, Any]:
    own = tables.row("lengths.parquet", id)
    if own is None:
        return {}
    names = {"tokens": int, "response_tokens": int, "too_long": bool}
    return {"tokens": {name: kind(own[name]) for name, kind in names.items()}}


def _prompt_fit(tables: _Tables, id: str) -> dict[str, Any]:
    row = tables.row("quality.parquet", id)
    if row is None:
        return {}
    fits, own = tables.there("quality.parquet")["prompt_fit"], float(row["prompt_fit"])
    return {"prompt_fit": {"fit": own, "lower": int((fits < own).sum()), "of": len(fits)}}


def _cluster(tables: _Tables, id: str) -> dict[str, Any]:
    table, own = tables["clusters.parquet"], tables.row("clusters.parquet", id)
    if table is None or own is None:
        return {}
    members = table[table["cluster"] == own["cluster"]]
    told: dict[str, Any] = {
        "cluster": int(own["cluster"]),
        "size": len(members),
        "is_proxy": bool(own["proxy"]),
        "distance": float(own["distance"]),
        "nearer_the_centre": int((members["distance"] < own["distance"]).sum()),
    }
    scores = tables["scores.parquet"]
    if scores is not None and (scores["cluster"] == own["cluster"]).any():
        score = scores[scores["cluster"] == own["cluster"]].iloc[0]
        error = None if pd.isna(score["stderr"]) else float(score["stderr"])
        told |= {"score": float(score["score"]), "stderr": error, "rank": int(score["rank"]), "of": len(scores)}
    return {"cluster": told}


def _rating(tables: _Tables, id: str) -> dict[str, Any]:
    table, row = tables["ratings.parquet"], tables.row("ratings.parquet", id)
    if table is None or row is None:
        return {"rating": None} if table is not None and len(table) else {}
    better = int((table["rating"] > row["rating"]).sum())
    own: dict[str, Any] = {"rating": float(row["rating"]), "rank": better + 1, "of": len(table)}
    metrics = tables.project.root / "metrics/rate.json"
    return {"rating": own | ({"unit": read_json(metrics).get("unit")} if metrics.is_file() else {})}


def _selection(tables: _Tables, id: str) -> dict[str, Any]:
    """Whether the record was selected, why, and what would have changed it."""
    selection = tables["selection.parquet"]
    if selection is None:
        return {}
    reasons = dict(zip(selection["id"], selection["reason"], strict=True))
    told: dict[str, Any] = {"selected": id in reasons, "rows": len(reasons)}
    if id in reasons:
        told |= {"place": list(reasons).index(id) + 1, "reason": reasons[id]}
    try:
        with contextlib.chdir(tables.project.root):
            decision = _decision(tables, id, reasons)
    except (ShedError, OSError, LookupError, TypeError, ValueError) as error:  # tables of different runs, or params of none
        decision = Decision([f"What would have changed it is not known: {error}"], {"selection_is_current": False})
    return {"selection": told | {"because": decision.said} | decision.numbers}


def _decision(tables: _Tables, id: str, reasons: dict[str, str]) -> Decision:
    """As the stage `sample` selects, in the project's folder."""
    from shed.selection.given.files import given_file, read_given
    from shed.selection.given.order import order_of
    from shed.settings.reading import reader_settings
    from stages.shared.paths import located
    from stages.shared.selecting import sample_size

    params = tables.project.params
    table = _candidates(tables)
    if not (table["id"] == id).any():
        return Decision([_why_left_out(tables, id)], {"may_be_selected": False})
    order = None
    if params.sampler == "given":
        given = read_given(given_file(located(params.sample.given or "")), reader_settings(params.data.reading))
        order = order_of(given, read_records("data/prepared/pool.jsonl"))
    choice = Choice(params, table, tables.there("scores.parquet"), sample_size(params, table), reasons, order)
    decision = decide(choice, id)
    decision.numbers = {"sampler": params.sampler, "may_be_selected": True, **decision.numbers}
    return decision


def _candidates(tables: _Tables) -> pd.DataFrame:
    """The rows that might be selected.

    Raises:
        ShedError: a table is not there.
    """
    from stages.shared.candidates import candidates_of

    params = tables.project.params
    least = params.sample.exclude.prompt_fit
    own = [tables.there(f"{name}.parquet") for name in ("clusters", "lengths", "ratings", *(["quality"] if least else []))]
    ids = own[0]["id"]
    numbered = all(one["id"].equals(ids) for one in own)
    # tables of the same records in the same order are joined by numbers, which takes a tenth of the time that ids take
    clusters, lengths, ratings, *fits = (one.assign(id=np.arange(len(ids))) for one in own) if numbered else own
    table = candidates_of(params, clusters, lengths, ratings, LeastFit(fits[0], least) if least else None)
    return table.assign(id=ids.iloc[table["id"]].array) if numbered else table


def _why_left_out(tables: _Tables, id: str) -> str:
    row, own = tables.row("lengths.parquet", id), tables.project.params.sample
    if row is not None and row["too_long"] and not own.too_long:
        return "It is longer than the context, so that it was not to be selected; sample.too_long: true lets such records in."
    return (
        f"Its prompt fit is below {own.exclude.prompt_fit}, so that it was not to be selected; a lower "
        "sample.exclude.prompt_fit lets it in, and null all records."
    )
