"""The page of a run: what was selected, what it did, and how far to trust it.

In: the pipeline's outputs. Out: one HTML text, which needs no network and marks every number with its origin.

Text from records is escaped (Jinja's autoescape), never markup. A number that stands in a metrics file carries the file and
the key in `data-metric`, so that a test, or a reader, can compare them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shed.data.records import Record
from shed.evaluation.comparison import MEASURES, NAMES, Measure
from shed.evaluation.verdict import Control
from shed.report import charts
from shed.report.shown import clusters_shown, records_shown
from shed.report.templates import rendered

Metrics = dict[str, dict[str, Any]]
LACKING: dict[Measure, str] = {  # what is said of a task without the measure
    "loss": "no loss",
    "choice_loss": "no options",
    "accuracy": "no options",
    "generation": "not written",
}
CONTROLS: dict[Control, str] = {
    "random_rows": "random rows, as many",
    "random_tokens": "random rows with as many response tokens",
    "all_rows": "the whole pool",
}
EXAMPLES = 2
EXAMPLE_CHARACTERS = 300


@dataclass(frozen=True)
class ReportInputs:
    """What the report shows.

    Attributes:
        metrics: the content of each metrics file by its path.
        pool: N records, in the order of `clusters` and `embeddings`.
        clusters, scores, selection: the tables of those stages.
        embeddings: (N, D) float32.
        convergence, loss: plot data.
        fidelity: plot data of each regime.
        params: (name, value, meaning) of each param.
    """

    metrics: Metrics
    pool: Sequence[Record]
    clusters: pd.DataFrame
    scores: pd.DataFrame
    selection: pd.DataFrame
    embeddings: np.ndarray
    convergence: pd.DataFrame
    loss: pd.DataFrame
    fidelity: dict[str, pd.DataFrame]
    params: Sequence[tuple[str, str, str]]


def render(inputs: ReportInputs) -> str:
    """The whole page."""
    from markupsafe import Markup

    def number(path: str, *keys: str, form: str = "z.2f") -> Markup:
        """A metric, formatted, with its origin."""
        value: Any = inputs.metrics[path]
        for key in keys:
            value = value[key]
        if value is None:
            return Markup("<span>unknown</span>")
        text = value if isinstance(value, str) else format(value, form)
        return Markup('<span data-metric="{}#{}" data-form="{}">{}</span>').format(path, "/".join(keys), form, text)

    changes = inputs.metrics["metrics/tasks.json"]["change"]
    points = _placed(inputs)
    pictures = {name: Markup(svg) for name, svg in _pictures(inputs, points).items()}  # noqa: S704 – drawn by Vega from numbers
    return rendered(
        "page.html.j2",
        number=number,
        metrics=inputs.metrics,
        measures=[measure for measure in MEASURES if any(measure in task for task in changes.values())],
        names=NAMES,
        lacking=LACKING,
        controls={control: CONTROLS[control] for control in inputs.metrics["metrics/verdict.json"] if control in CONTROLS},
        gains=_gain_rows(inputs.metrics["metrics/verdict.json"]),
        unasked=_unasked(inputs),
        pictures=pictures,
        mapped={"records": len(points), "selected": int(points["selected"].sum()), "of": len(inputs.clusters)},
        rows=_cluster_rows(inputs),
        clusters=len(inputs.scores),
        params=inputs.params,
    )


def _gain_rows(verdict: dict[str, Any]) -> list[tuple[Control, str, str, dict[Measure, Any]]]:
    """Control, split, task and gains, in the table's order; a split's only task says the same as all of them."""
    return [
        (control, split, task, gains)
        for control in verdict
        if control in CONTROLS
        for split in ("test", "dev")
        for task, gains in verdict[control][split].items()
        if task == "all" or len(verdict[control][split]) > 2
    ]


def _unasked(inputs: ReportInputs) -> dict[str, Any] | None:
    """The limit on the items of a task, and how many were asked, where that is what makes the verdict's first interval wide."""
    limit = next((value for name, value, _ in inputs.params if name.split(".") == ["evaluate", "limit"]), "")
    tasks = inputs.metrics["metrics/tasks.json"]["tuned"]
    asked = sum(int(of["items"]) for task, of in tasks.items() if task.startswith("test_"))
    of_items = inputs.metrics["metrics/verdict.json"].get("of_items")
    there = inputs.metrics["metrics/data.json"]["test"]["kept"]
    return {"limit": limit, "asked": asked} if limit.isdigit() and asked < there and (of_items or 0) > 0.5 else None


def _pictures(inputs: ReportInputs, points: pd.DataFrame) -> dict[str, str]:
    sources = pd.DataFrame({"pool": _shares(inputs.clusters), "selection": _shares(inputs.selection)}).fillna(0.0)
    shares = sources.rename_axis("source").reset_index().melt(id_vars="source", var_name="of", value_name="share")
    drawn = {
        "map": charts.pool_map(points),
        "composition": charts.composition(shares.sort_values(["source", "of"], ignore_index=True)),
        "loss": charts.line(
            inputs.loss, "step", "loss", ("step", "nats per response token"), "Loss of each step of the final tuning."
        ),
    }
    if len(inputs.convergence) > 1:
        drawn["convergence"] = charts.line(
            inputs.convergence,
            "fte",
            "rank_correlation",
            ("FTE", "rank correlation with the final scores"),
            "Rank correlation of the scores so far with the final ones, against cost.",
        )
    for regime, points in inputs.fidelity.items():
        if len(points):
            about = f"Utility of {len(points)} unseen half coalitions in the {regime} regime: predicted against measured."
            drawn[f"fidelity_{regime}"] = charts.against(points, about)
    return drawn


def _placed(inputs: ReportInputs) -> pd.DataFrame:
    """Records in two dimensions by t-SNE, from their principal components, so that the map is the same each time.

    They are the ones that `shed.report.shown.records_shown` chooses.
    """
    from sklearn.manifold import TSNE

    selected = inputs.clusters["id"].isin(inputs.selection["id"]).to_numpy()
    shown = records_shown(selected)
    perplexity = min(30.0, (len(shown) - 1) / 3)
    placed = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(inputs.embeddings[shown])
    score = inputs.scores.set_index("cluster")["score"]
    return pd.DataFrame(
        {
            "x": placed[:, 0],
            "y": placed[:, 1],
            "score": score.reindex(inputs.clusters["cluster"].iloc[shown]).to_numpy(),
            "selected": selected[shown],
        }
    )


def _shares(rows: pd.DataFrame) -> pd.Series:
    return rows["source"].value_counts(normalize=True)


def _cluster_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """A row for each cluster that is shown, best first: main source, how many rows are selected, the nearest to the centre."""
    errors = inputs.scores["stderr"].fillna(0.0)
    span = max(1e-12, float((inputs.scores["score"].abs() + errors).max()))
    taken = inputs.selection["cluster"].value_counts()
    rows = []
    for row in clusters_shown(inputs.scores).to_dict("records"):
        members = inputs.clusters[inputs.clusters["cluster"] == row["cluster"]].sort_values("distance")
        sources = members["source"].value_counts(normalize=True)
        known = not np.isnan(row["stderr"])
        ends = (row["score"] - row["stderr"], row["score"] + row["stderr"]) if known else (row["score"], row["score"])
        rows.append(
            {
                **{key: row[key] for key in ("rank", "cluster", "score", "size")},
                "stderr": row["stderr"] if known else None,
                "selected": int(taken.get(row["cluster"], 0)),
                "source": sources.index[0],
                "source_share": float(sources.iloc[0]),
                "bar": [round(50 + 50 * value / span, 2) for value in (row["score"], *ends)],
                "examples": [
                    {"prompt": _short(inputs.pool[i].prompt), "response": _short(inputs.pool[i].response)}
                    for i in members.index[:EXAMPLES]
                ],
            }
        )
    return rows


def _short(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"
