"""What a run found, from its metrics and tables, as far as it got.

In: the project. Out: plain values, by part; a part that is not there yet is named.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shed.cli.project import Project
from shed.cli.results.pool_lines import rows_at
from shed.cli.running.stages import finished
from shed.common.atomic_io import read_json
from shed.common.errors import ShedError

PARTS = {  # what is shown, and what it is read from
    "verdict": ("metrics/verdict.json",),
    "change": ("metrics/change.json", "metrics/base.json", "metrics/tuned.json"),
    "selection": ("data/selection.parquet", "data/clusters.parquet", "metrics/sample.json"),
    "lengths": ("metrics/lengths.json", "metrics/sample.json"),
    "clusters": ("data/clusters.parquet", "data/scores.parquet", "data/prepared/pool.jsonl"),
    "fidelity": ("metrics/fidelity.json",),
}
FILES = {
    "report": "reports/index.html",
    "selected rows": "data/selection.jsonl",
    "for trainers": "data/export",
    "adapter": "data/adapter",
}
MEASURES = ("loss", "choice_loss", "accuracy", "generation")
LENGTHS = ("rows", "response_tokens", "response_tokens_mean", "response_tokens_median", "response_tokens_max", "too_long")
SHED_RUN = "`shed run` goes on, and `dvc pull` brings what somebody else has run"


@dataclass(frozen=True)
class Summary:
    """The parts that are there.

    Attributes:
        found: by part.
        missing: by part, its files that are not there.
    """

    found: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)


def summarise(project: Project, clusters: int, examples: int) -> Summary:
    """All parts.

    Args:
        clusters: how many of them at most, from the best score down.
        examples: how many records of each cluster are told, those nearest its centre.

    Raises:
        ShedError: nothing at all is there.
    """
    read: dict[str, Callable[[], Any]] = {
        "verdict": lambda: verdict(project),
        "change": lambda: {name: project.metrics(name) for name in ("change", "base", "tuned")},
        "selection": lambda: selection(project),
        "lengths": lambda: {
            "pool": _lengths(project.metrics("lengths")),
            "selection": _lengths(project.metrics("sample")["lengths"]),
        },
        "clusters": lambda: cluster_rows(project, clusters, examples),
        "fidelity": lambda: project.metrics("fidelity"),
    }
    summary = Summary()
    for part, names in PARTS.items():
        if lacking := [name for name in names if not (project.root / name).exists()]:
            summary.missing[part] = lacking
        else:
            summary.found[part] = read[part]()
    if not summary.found:
        made = finished(project.root)
        if not made:
            raise ShedError(
                f"{project.root}: nothing has run yet; `shed check` and `shed plan` look ahead, `shed run` runs all"
            )
        begun = f"of its stages {', '.join(made)} {'has' if len(made) == 1 else 'have'} run"
        raise ShedError(f"{project.root} has no results yet; {begun}: {SHED_RUN}")
    if (project.root / "metrics/tasks.json").is_file():
        summary.found["items"] = items(project.metrics("tasks"))
    summary.found["files"] = {what: name for what, name in FILES.items() if (project.root / name).exists()}
    return summary


def verdict(project: Project) -> dict[str, Any]:
    """The verdict, and whether it is of another selection than the one that is there (None: that is not known)."""
    found = project.metrics("verdict")
    sample = project.root / "metrics/sample.json"
    of_other: bool | None = None
    if found["seeds"] and sample.is_file():
        now = read_json(sample)
        of_other = (found["rows"], found["response_tokens"]) != (now["rows"], now["lengths"]["response_tokens"])
    return {**found, "of_another_selection": of_other}


def items(tasks: dict[str, Any]) -> dict[str, int]:
    """How many questions each measure of the tuned model rests on, as `test_accuracy`, and those of a task, as `test_mmlu`."""
    counts: dict[str, int] = {}
    for task, own in tasks["tuned"].items():
        split, counts[task] = task.partition("_")[0], own["items"]
        for measure in MEASURES:
            if measure in own:
                count = own["written"] if measure == "generation" else own["items"]
                counts[f"{split}_{measure}"] = counts.get(f"{split}_{measure}", 0) + count
    return counts


def selection(project: Project) -> dict[str, Any]:
    """How many rows of how many were selected, and of each source how many there are, and their median prompt fit if known."""
    import pandas as pd

    records = pd.read_parquet(project.path("data/clusters.parquet"), columns=["id", "source"])
    pool = records["source"].value_counts()
    own = pd.read_parquet(project.path("data/selection.parquet"), columns=["source"])["source"].value_counts()
    rows, of = int(own.sum()), int(pool.sum())
    sources = {
        str(source): {
            "pool": int(count),
            "selection": int(own.get(source, 0)),
            "share_of_pool": int(count) / of,
            "share_of_selection": int(own.get(source, 0)) / rows,
        }
        for source, count in pool.items()
    }
    fits = project.root / "data/quality.parquet"
    if fits.is_file():
        judged = records.merge(pd.read_parquet(fits), on="id", validate="one_to_one")
        for source, fit in judged.groupby("source")["prompt_fit"].median().items():
            sources[str(source)]["prompt_fit_median"] = float(fit)
    own = project.metrics("sample")
    left_out = {name: own.get(name, 0) for name in ("left_out_as_too_long", "left_out_by_prompt_fit")}
    return {"rows": rows, "of": of, **left_out, "sources": sources}


def cluster_rows(project: Project, most: int, examples: int) -> dict[str, Any]:
    """The clusters from the best score down: rank, score and its error, size, selected rows (None: no selection), examples;
    and the sampler, which may take no account of scores.
    """
    import pandas as pd

    table = pd.read_parquet(project.path("data/clusters.parquet"), columns=["cluster", "source", "distance"])
    scores = pd.read_parquet(project.path("data/scores.parquet"), columns=["rank", "cluster", "score", "stderr", "size"])
    chosen = project.root / "data/selection.parquet"
    taken = pd.read_parquet(chosen, columns=["cluster"])["cluster"].value_counts() if chosen.exists() else None
    best = scores.sort_values("rank").head(most)
    nearest = {
        cluster: table[table["cluster"] == cluster].sort_values("distance", kind="stable").index[:examples].tolist()
        for cluster in best["cluster"]
    }
    told = rows_at(project.path("data/prepared/pool.jsonl"), [place for places in nearest.values() for place in places])
    rows = [
        {
            "rank": int(row["rank"]),
            "cluster": int(row["cluster"]),
            "score": float(row["score"]),
            "stderr": None if pd.isna(row["stderr"]) else float(row["stderr"]),
            "size": int(row["size"]),
            "selected": None if taken is None else int(taken.get(row["cluster"], 0)),
            "examples": [_example(told[place]) for place in nearest[row["cluster"]] if place in told],
        }
        for row in best.to_dict("records")
    ]
    return {"of": len(scores), "score_is": _score_is(project), "sampler": _sampler(project), "rows": rows}


def _score_is(project: Project) -> dict[str, str]:
    """What a score is and in which unit; empty where the metrics are not there."""
    path = project.root / "metrics/score.json"
    if not path.is_file():
        return {}
    own = read_json(path)
    if own["score_is"] != "mean rating":
        notes = {"notes": str(own["notes"])} if own.get("notes") else {}
        return {"name": own["score_is"], "unit": own["unit"], "utility": own["utility"]} | notes
    rate = project.metrics("rate")
    return {"name": own["score_is"], "unit": rate["unit"], "utility": rate["utility"]}


def _sampler(project: Project) -> str | None:
    """None where params cannot be read, which is no reason to show nothing."""
    try:
        return project.params.sampler
    except ShedError:
        return None


def _example(row: dict[str, Any]) -> dict[str, str]:
    from shed.data.records import from_row

    record = from_row(row)
    return {"id": record.id, "prompt": record.prompt, "response": record.response}


def _lengths(own: dict[str, Any]) -> dict[str, Any]:
    return {name: own[name] for name in LENGTHS}
