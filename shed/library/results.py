"""What the verbs give: a table, the metrics that the pipeline would write, and a picture of both for a notebook.

In: tables and metrics. Out: small frozen values, whose text is a line and the beginning of the table.
"""

import html
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shed.library.rows import Rows
from shed.params import Params

if TYPE_CHECKING:
    from shed.evaluation.verdict import Verdict

SHOWN_ROWS = 8
WIDTH = 80


@dataclass(frozen=True, repr=False)
class Result:
    """What all results have.

    Attributes:
        table: the result, a row for each record, cluster or comparison.
        metrics: cost and totals, as the pipeline's file of metrics has them.
    """

    table: pd.DataFrame
    metrics: dict[str, Any]

    @property
    def headline(self) -> str:
        """The result in a line."""
        raise NotImplementedError

    def __repr__(self) -> str:
        table = self._shown.to_string(index=False, max_colwidth=32, line_width=WIDTH)
        paragraphs = [f"{type(self).__name__}: {self.headline}", *self._below]
        first, *rest = (textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs)
        return "\n".join([first, table, *rest])

    def _repr_html_(self) -> str:
        said, *rest = (f"<p>{html.escape(one)}</p>" for one in (f"{type(self).__name__}: {self.headline}", *self._below))
        return "\n".join([said, self._shown.to_html(index=False, escape=True), *rest])

    @property
    def _shown(self) -> pd.DataFrame:
        return self.table.head(SHOWN_ROWS)

    @property
    def _below(self) -> list[str]:
        """What is said below the table, a paragraph each."""
        more = len(self.table) - SHOWN_ROWS
        return [f"… and {more:,} more in .table"] if more > 0 else []


@dataclass(frozen=True, repr=False)
class PlanResult(Result):
    """About how long the costly verbs take here.

    Attributes:
        table: `verb`, `seconds`, and `computed`, whether it was called before and costs nothing now.
        metrics: what it rests on: `read_ms` and `tuned_ms`, milliseconds of a token pass to read and to tune, and `spread`, by
            which part single measurements differed from these.
    """

    @property
    def headline(self) -> str:
        left = self.table[~self.table["computed"]]
        parts = ", ".join(f"{verb} {_time(own)}" for verb, own in zip(left["verb"], left["seconds"], strict=True))
        return (
            f"about {_time(float(left['seconds'].sum()))} for all that was not computed yet ({parts})"
            if parts
            else "all is done"
        )

    @property
    def _below(self) -> list[str]:
        return [
            "A forecast, which may be off by a quarter. Embeddings are not counted, nor what `folder` has from another time."
        ]


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
    )


@dataclass(frozen=True, repr=False)
class PromptFitResult(Result):
    """How well each pool record's response fits its prompt, beside the responses of other records; the worst come first.

    Attributes:
        table: `row` (its place in the pool as you gave it), `id`, `source`, `prompt_fit` from 0 to 1.
        metrics: `judged`, how many, and the shares with a fit below a quarter, a half and three quarters. Of responses
            that have nothing to do with their prompts about the same shares are.
    """

    @property
    def headline(self) -> str:
        own = self.metrics
        return (
            f"of {own['judged']:,} records {own['share_below_a_half']:.1%} fit their prompt worse than half of other responses "
            f"would, {own['share_below_a_quarter']:.1%} worse than three of four"
        )


@dataclass(frozen=True, repr=False)
class RatingResult(Result):
    """A rating of each pool record: what a step on it would add to dev utility.

    Attributes:
        table: `row` (its place in the pool as you gave it), `id`, `source`, `rating`
            (NaN where `rate.screen` left it out).
        metrics: among them `utility` and `unit`, what ratings are of, and `harmful`, how many are below 0.
    """

    @property
    def headline(self) -> str:
        own = self.metrics
        return f"{own['rated']:,} records rated in {own['unit']}; {own['harmful']:,} of them below 0"

    @property
    def _shown(self) -> pd.DataFrame:
        return self.table.nlargest(SHOWN_ROWS, "rating")


@dataclass(frozen=True, repr=False)
class ClusterResult(Result):
    """Clusters of the pool.

    Attributes:
        table: `row`, `id`, `source`, `cluster`, `distance` (to the cluster's centre), `proxy` (does it stand for the cluster?).
        metrics: sizes and quality.
        embeddings: (N, D) float32, a vector of length 1 for each row of the table.
    """

    embeddings: np.ndarray

    @property
    def headline(self) -> str:
        own = self.metrics
        sizes = f"{own['size_min']:,} to {own['size_max']:,} records"
        return f"{own['clusters']:,} clusters of {sizes}; silhouette {own['silhouette']:.2f}"


@dataclass(frozen=True, repr=False)
class ScoreResult(Result):
    """A score of each cluster, best first.

    Attributes:
        table: as `shed.selection.scoring.ClusterScores` has it: `rank`, `cluster`, `score`, `stderr`, `size` and more.
        metrics: among them `fte`, what it cost, and `ended`, why it came to its end.
        convergence: a row for each round of the estimator.
    """

    convergence: pd.DataFrame

    @property
    def headline(self) -> str:
        own = self.metrics
        cost = f"{own['evaluations']:,} evaluations, {own['fte']:.1f} fine-tune equivalents"
        return f"{len(self.table):,} clusters, a score is the {own['score_is']}; {cost}"

    @property
    def _shown(self) -> pd.DataFrame:
        return super()._shown[["rank", "cluster", "score", "stderr", "size"]]

    @property
    def _below(self) -> list[str]:
        notes = self.metrics["notes"]
        return super()._below + ([f"note: {notes}"] if notes else [])


@dataclass(frozen=True, repr=False)
class SelectionResult(Result):
    """The selected rows, best first.

    Attributes:
        rows: these rows as you gave them: a list of dictionaries, or a Dataset of a Dataset.
        table: for each of them `row` (its place in the pool as you gave it), `id`, `source`, `reason`; its `rating`, its
            `cluster` and the cluster's `score` where these are known.
        metrics: rows, clusters, lengths, and the share of each source.
        settings: by which they were selected.
    """

    rows: Rows
    settings: Params

    def __len__(self) -> int:
        return len(self.table)

    @property
    def headline(self) -> str:
        own = self.metrics["lengths"]
        told = f"{len(self):,} rows by {self.settings.sampler}, {own['response_tokens']:,} response tokens"
        for name, why in (
            ("left_out_as_too_long", "they are longer than the context"),
            ("left_out_by_prompt_fit", "their responses fit their prompts too badly"),
        ):
            if count := self.metrics[name]:
                told += f"; {count:,} left out, since {why}"
        return told

    @property
    def _shown(self) -> pd.DataFrame:
        return super()._shown[["row", "source", "reason"]]


@dataclass(frozen=True, repr=False)
class VerdictResult(Result):
    """Whether a selection is better than random rows.

    Attributes:
        table: `control`, `split`, `task` (`all` is the mean over tasks), `measure`, `gain` (higher is better) and the ends of
            its 95 % interval, `low` and `high`; `luck`, how far one draw of the control may lie from the others by chance.
        metrics: the same as the pipeline's file `verdict.json`.
    """

    verdict: "Verdict"

    @property
    def headline(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """What was found."""
        return self.verdict.sentence

    @property
    def meaning(self) -> str:
        """What to do with that."""
        return self.verdict.meaning

    @property
    def better(self) -> bool:
        """True if the loss on test is lower than after tuning on the first control's rows, by more than chance."""
        return self.verdict.headline(self.verdict.first).better


def verdict_result(verdict: "Verdict") -> VerdictResult:
    """The verdict with its table."""
    rows = [
        (control, split, task, measure, gain.gain, gain.low, gain.high, gain.luck)
        for control, against in verdict.against.items()
        for split, by_task in against.gains.items()
        for task, by_measure in by_task.items()
        for measure, gain in by_measure.items()
    ]
    table = pd.DataFrame(rows, columns=["control", "split", "task", "measure", "gain", "low", "high", "luck"])
    return VerdictResult(table, verdict.to_metrics(), verdict)
