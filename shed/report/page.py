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
from shed.report import charts
from shed.report.templates import template

Metrics = dict[str, dict[str, Any]]
LACKING: dict[Measure, str] = {  # what is said of a task without the measure
    "loss": "no loss",
    "choice_loss": "no options",
    "accuracy": "no options",
    "generation": "not written",
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
    pictures = {name: Markup(svg) for name, svg in _pictures(inputs).items()}  # noqa: S704 – drawn by Vega from numbers
    return template("page.html.j2").render(
        number=number,
        metrics=inputs.metrics,
        measures=[measure for measure in MEASURES if any(measure in task for task in changes.values())],
        names=NAMES,
        lacking=LACKING,
        pictures=pictures,
        rows=_cluster_rows(inputs),
        params=inputs.params,
    )


def _pictures(inputs: ReportInputs) -> dict[str, str]:
    sources = pd.DataFrame({"pool": _shares(inputs.clusters), "selection": _shares(inputs.selection)}).fillna(0.0)
    shares = sources.rename_axis("source").reset_index().melt(id_vars="source", var_name="of", value_name="share")
    drawn = {
        "map": charts.pool_map(_placed(inputs)),
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
    """Records in two dimensions by t-SNE, from their principal components, so that the map is the same each time."""
    from sklearn.manifold import TSNE

    n = len(inputs.embeddings)
    perplexity = min(30.0, (n - 1) / 3)
    placed = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(inputs.embeddings)
    score = inputs.scores.set_index("cluster")["score"]
    return pd.DataFrame(
        {
            "x": placed[:, 0],
            "y": placed[:, 1],
            "score": score.reindex(inputs.clusters["cluster"]).to_numpy(),
            "selected": inputs.clusters["id"].isin(inputs.selection["id"]).to_numpy(),
        }
    )


def _shares(rows: pd.DataFrame) -> pd.Series:
    return rows["source"].value_counts(normalize=True)


def _cluster_rows(inputs: ReportInputs) -> list[dict[str, Any]]:
    """A row for each cluster, best first: its main source, how many rows were selected, the records nearest its centre."""
    errors = inputs.scores["stderr"].fillna(0.0)
    span = max(1e-12, float((inputs.scores["score"].abs() + errors).max()))
    taken = inputs.selection["cluster"].value_counts()
    rows = []
    for row in inputs.scores.to_dict("records"):
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
