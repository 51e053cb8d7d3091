"""The page: the pipeline's outputs in, one HTML text out, which needs no network and marks every number with its origin.

Text from records is escaped (Jinja's autoescape), never markup. A number that stands in a metrics file carries the file and
the key in `data-metric`, so that a test, or a reader, can compare them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shed.data.records import Record
from shed.evaluation.advice import advise
from shed.evaluation.comparison import MEASURES, at_the_share_of_most
from shed.report import charts

Metrics = dict[str, dict[str, Any]]
EXAMPLES = 2
EXAMPLE_CHARACTERS = 300


@dataclass(frozen=True)
class Comparison:
    """What was published of this pool, on test.

    Attributes:
        test, dev: gains over random rows, by `shed.evaluation.comparison.compare`; what decides is dev.
        by_task: those on test of each task, by `compare_by_task`.
        with_top: gains on test over `top`, the default.
        with_all: gains on test over tuning on the whole pool, by `compare_with_all`.
        costs: of selecting, `fte` and `seconds` for each `method`.
        same_settings: whether they are of the present test records and settings.
        ranks_agree: how far the clusters' order that the methods went by is the present one, by `shed.evaluation.comparison.ranks_agree`.
    """

    test: pd.DataFrame
    dev: pd.DataFrame
    by_task: pd.DataFrame
    with_top: pd.DataFrame
    with_all: pd.DataFrame
    costs: pd.DataFrame
    same_settings: bool
    ranks_agree: float


@dataclass(frozen=True)
class Findings:
    """What the report tells.

    Attributes:
        metrics: the content of each metrics file by its path.
        pool: N records, in the order of `clusters` and `embeddings`.
        clusters, scores, selection: the tables of those stages.
        embeddings: (N, D) float32.
        convergence, loss: plot data.
        fidelity: plot data of each regime.
        comparison: what was published of this pool, or None.
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
    comparison: Comparison | None
    params: Sequence[tuple[str, str, str]]


def render(findings: Findings) -> str:
    """The whole page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("shed", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def number(path: str, *keys: str, form: str = ".2f") -> Markup:
        """A metric, formatted, with its origin."""
        value: Any = findings.metrics[path]
        for key in keys:
            value = value[key]
        if value is None:
            return Markup("<span>unknown</span>")
        text = value if isinstance(value, str) else format(value, form)
        return Markup('<span data-metric="{}#{}" data-form="{}">{}</span>').format(path, "/".join(keys), form, text)

    pictures = {name: Markup(svg) for name, svg in _pictures(findings).items()}  # noqa: S704 – drawn by Vega from numbers
    return environment.get_template("page.html.j2").render(
        number=number,
        metrics=findings.metrics,
        pictures=pictures,
        rows=_cluster_rows(findings),
        comparison=findings.comparison and _compared(findings.comparison),
        by_task=_by_task(findings),
        params=findings.params,
    )


def _compared(found: Comparison) -> dict[str, Any]:
    """What the page tells of a comparison."""
    return {
        "rows": found.test.merge(found.costs, on="method", how="left").to_dict("records"),
        "measures": [measure for measure in MEASURES if measure in found.test],
        "advice": advise(found.dev, found.test, found.costs),
        "with_top": found.with_top.to_dict("records"),
        "with_all": found.with_all.to_dict("records"),
        "same_settings": found.same_settings,
        "ranks_agree": found.ranks_agree,
    }


def _pictures(findings: Findings) -> dict[str, str]:
    sources = pd.DataFrame({"pool": _shares(findings.clusters), "selection": _shares(findings.selection)}).fillna(0.0)
    shares = sources.rename_axis("source").reset_index().melt(id_vars="source", var_name="of", value_name="share")
    drawn = {
        "map": charts.pool_map(_placed(findings)),
        "composition": charts.composition(shares.sort_values(["source", "of"], ignore_index=True)),
        "loss": charts.line(
            findings.loss, "step", "loss", ("step", "nats per response token"), "Loss of each step of the final tuning."
        ),
    }
    if len(findings.convergence) > 1:
        drawn["convergence"] = charts.line(
            findings.convergence,
            "fte",
            "rank_correlation",
            ("FTE", "rank correlation with the final scores"),
            "Rank correlation of the scores so far with the final ones, against cost.",
        )
    for regime, points in findings.fidelity.items():
        if len(points):
            about = f"Utility of {len(points)} unseen half coalitions in the {regime} regime: predicted against measured."
            drawn[f"fidelity_{regime}"] = charts.against(points, about)
    gains = _gains(findings)
    if len(gains):
        drawn["comparison"] = charts.intervals(
            gains,
            "loss_gain",
            "loss_gain_low",
            "loss_gain_high",
            "method",
            "gain over random rows, nats per response token",
            "Gain of each method over random rows in test loss, with its 95 % interval; the table has the numbers.",
        )
    return drawn


def _gains(findings: Findings) -> pd.DataFrame:
    """The methods at the share of the pool that most of them were run at, best first."""
    if findings.comparison is None or "loss_gain" not in findings.comparison.test:
        return pd.DataFrame()
    return at_the_share_of_most(findings.comparison.test).sort_values("loss_gain", ascending=False)


def _by_task(findings: Findings) -> dict[str, list[dict[Hashable, Any]]]:
    """For each of these methods at this share, best first, its gains on each task, in the tasks' order."""
    gains = _gains(findings)
    if findings.comparison is None or not len(gains):
        return {}
    tasks = findings.comparison.by_task
    tasks = tasks[tasks["fraction"] == gains["fraction"].iloc[0]]
    return {method: tasks[tasks["method"] == method].to_dict("records") for method in gains["method"]}


def _placed(findings: Findings) -> pd.DataFrame:
    """Records in two dimensions by t-SNE, from their principal components, so that the map is the same each time."""
    from sklearn.manifold import TSNE

    n = len(findings.embeddings)
    perplexity = min(30.0, (n - 1) / 3)
    placed = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(findings.embeddings)
    score = findings.scores.set_index("cluster")["score"]
    return pd.DataFrame(
        {
            "x": placed[:, 0],
            "y": placed[:, 1],
            "score": score.reindex(findings.clusters["cluster"]).to_numpy(),
            "selected": findings.clusters["id"].isin(findings.selection["id"]).to_numpy(),
        }
    )


def _shares(rows: pd.DataFrame) -> pd.Series:
    return rows["source"].value_counts(normalize=True)


def _cluster_rows(findings: Findings) -> list[dict[str, Any]]:
    """A row for each cluster, best first: its main source, how many rows were selected, the records nearest its centre."""
    errors = findings.scores["stderr"].fillna(0.0)
    span = max(1e-12, float((findings.scores["score"].abs() + errors).max()))
    taken = findings.selection["cluster"].value_counts()
    rows = []
    for row in findings.scores.to_dict("records"):
        members = findings.clusters[findings.clusters["cluster"] == row["cluster"]].sort_values("distance")
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
                    {"prompt": _short(findings.pool[i].prompt), "response": _short(findings.pool[i].response)}
                    for i in members.index[:EXAMPLES]
                ],
            }
        )
    return rows


def _short(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"
