"""The way of a record through the pipeline, as far as its stages have run.

In: the rows of prepared files that are of one record. Out: plain values: what `prepare` did with it, its tokens, cluster,
rating and neighbours, and whether and why it was selected.
"""

import contextlib
from collections.abc import Sequence
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
    clusters = _table(project, "clusters.parquet")
    if clusters is not None and clusters["id"].iloc[kept.place : kept.place + 1].tolist() != [kept.id]:
        return told | {"of_another_pool": True}
    faults = _table(project, "prepared/faults.csv")
    if faults is not None and (own := faults.loc[faults["id"] == kept.id, "fault"]).size:
        told["fault"] = str(own.iloc[0])
    return (
        told
        | _tokens(project, kept.id)
        | _cluster(project, kept.id)
        | _rating(project, kept.id)
        | _selection(project, kept.id)
        | {"neighbours": neighbours(project, kept.place)}
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


def neighbours(project: Project, place: int) -> list[dict[str, Any]] | None:
    """The pool's records that are nearest by their embeddings, with the cosine similarity; None without embeddings."""
    path = project.root / "data/embeddings.npy"
    if not path.is_file():
        return None
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    if place >= len(vectors):
        return None
    likeness = np.asarray(vectors @ vectors[place])
    likeness[place] = -np.inf
    nearest = np.argsort(-likeness, kind="stable")[: min(NEIGHBOURS, len(vectors) - 1)]
    rows = rows_at(project.path("data/prepared/pool.jsonl"), nearest.tolist())
    selection = _table(project, "selection.parquet")
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


def _table(project: Project, name: str) -> pd.DataFrame | None:
    path = project.root / "data" / name
    if not path.is_file():
        return None
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def _row(project: Project, name: str, id: str) -> pd.Series | None:
    table = _table(project, name)
    return None if table is None or not (own := table[table["id"] == id]).size else own.iloc[0]


def _tokens(project: Project, id: str) -> dict[str, Any]:
    own = _row(project, "lengths.parquet", id)
    if own is None:
        return {}
    names = {"tokens": int, "response_tokens": int, "too_long": bool}
    return {"tokens": {name: kind(own[name]) for name, kind in names.items()}}


def _cluster(project: Project, id: str) -> dict[str, Any]:
    table = _table(project, "clusters.parquet")
    if table is None or not (table["id"] == id).any():
        return {}
    own = table[table["id"] == id].iloc[0]
    members = table[table["cluster"] == own["cluster"]]
    told: dict[str, Any] = {
        "cluster": int(own["cluster"]),
        "size": len(members),
        "is_proxy": bool(own["proxy"]),
        "distance": float(own["distance"]),
        "nearer_the_centre": int((members["distance"] < own["distance"]).sum()),
    }
    scores = _table(project, "scores.parquet")
    if scores is not None and (scores["cluster"] == own["cluster"]).any():
        score = scores[scores["cluster"] == own["cluster"]].iloc[0]
        error = None if pd.isna(score["stderr"]) else float(score["stderr"])
        told |= {"score": float(score["score"]), "stderr": error, "rank": int(score["rank"]), "of": len(scores)}
    return {"cluster": told}


def _rating(project: Project, id: str) -> dict[str, Any]:
    table = _table(project, "ratings.parquet")
    if table is None or not (table["id"] == id).any():
        return {}
    place = table["rating"].rank(ascending=False, method="min")[table["id"] == id].iloc[0]
    own: dict[str, Any] = {
        "rating": float(table.loc[table["id"] == id, "rating"].iloc[0]),
        "rank": int(place),
        "of": len(table),
    }
    metrics = project.root / "metrics/rate.json"
    return {"rating": own | ({"unit": read_json(metrics).get("unit")} if metrics.is_file() else {})}


def _selection(project: Project, id: str) -> dict[str, Any]:
    """Whether the record was selected, why, and what would have changed it."""
    selection = _table(project, "selection.parquet")
    if selection is None:
        return {}
    reasons = dict(zip(selection["id"], selection["reason"], strict=True))
    told: dict[str, Any] = {"selected": id in reasons, "rows": len(reasons)}
    if id in reasons:
        told |= {"place": list(reasons).index(id) + 1, "reason": reasons[id]}
    try:
        with contextlib.chdir(project.root):
            decision = _decision(project, id, reasons)
    except (ShedError, OSError, LookupError, TypeError, ValueError) as error:  # tables of different runs, or params of none
        decision = Decision([f"What would have changed it is not known: {error}"], {"selection_is_current": False})
    return {"selection": told | {"because": decision.said} | decision.numbers}


def _decision(project: Project, id: str, reasons: dict[str, str]) -> Decision:
    """As the stage `sample` selects, in the project's folder."""
    from shed.selection.given.files import given_file, read_given
    from shed.selection.given.order import order_of
    from stages.shared.candidates import read_candidates
    from stages.shared.paths import located
    from stages.shared.selecting import sample_size
    from stages.shared.settings.reading import reader_settings

    params = project.params
    table = read_candidates(params)
    if id not in set(table["id"]):
        return Decision(
            ["It is longer than the context, so that it was not to be selected; sample.too_long: true lets such records in."],
            {"may_be_selected": False},
        )
    order = None
    if params.sampler == "given":
        given = read_given(given_file(located(params.sample.given or "")), reader_settings(params.data.reading))
        order = order_of(given, read_records("data/prepared/pool.jsonl"))
    choice = Choice(params, table, pd.read_parquet("data/scores.parquet"), sample_size(params, table), reasons, order)
    decision = decide(choice, id)
    decision.numbers = {"sampler": params.sampler, "may_be_selected": True, **decision.numbers}
    return decision
