"""What two revisions differ in: the verdict, metrics, params, and the rows of the selection.

In: two revisions. Out: `Differences`, as plain values.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shed.cli.sharing.revisions import NotCachedError, Revision, flat

CONTROLS = {"random_rows": "random rows", "random_tokens": "random rows with as many tokens", "all_rows": "the whole pool"}
MEASURES = {"loss": "loss", "choice_loss": "choice loss", "accuracy": "accuracy", "generation": "generation score"}
SAMPLE = {
    "rows": "rows selected",
    "lengths.response_tokens": "response tokens selected",
    "clusters": "clusters they are from",
    "left_out_as_too_long": "records left out as too long",
    "left_out_by_prompt_fit": "records left out by their prompt fit",
}


@dataclass(frozen=True)
class Measured:
    """A number with the ends of its 95 % interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if isinstance(self.value, int):
            return f"{self.value:,}"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Change:
    """A value that is not the same in two revisions, or that one of them lacks (None).

    Attributes:
        name: what it is: words for a reader, or a dotted key.
        old, new: of the first and of the second revision.
    """

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Row:
    """A row that one selection has and the other has not.

    Attributes:
        text: how the record begins, or "" where it cannot be read here.
        reason: why it was selected.
    """

    id: str
    source: str
    reason: str
    text: str


@dataclass(frozen=True)
class Rows:
    """What became of the selection's rows: how many stayed, and which came and went, in the order of their selection."""

    stayed: int
    came: list[Row]
    went: list[Row]


@dataclass(frozen=True)
class Differences:
    """Two revisions side by side.

    Attributes:
        old, new: the revisions.
        gains: what the verdict measured in each, by words for a reader.
        told: of what a reader looks at first, what changed.
        metrics: every number of metrics that changed, by file and dotted key.
        params: every param that changed, by its dotted key.
        rows: the selection's; None where one of the two cannot be read, and then `no_rows` says why.
    """

    old: Revision
    new: Revision
    gains: tuple[dict[str, Measured], dict[str, Measured]]
    told: list[Change]
    metrics: list[Change]
    params: list[Change]
    rows: Rows | None
    no_rows: str


def differences(old: Revision, new: Revision) -> Differences:
    """Compare two revisions.

    Raises:
        ShedError: a file of one of them cannot be read.
    """
    rows, no_rows = None, ""
    try:
        rows = _rows(old, new)
    except NotCachedError as error:
        no_rows = str(error)
    gains = _gains(old.metrics), _gains(new.metrics)
    told = [{**of_verdict, **dict(_other(revision.metrics))} for of_verdict, revision in zip(gains, (old, new), strict=True)]
    numbers = [
        {key: value for key, value in flat(revision.metrics).items() if not isinstance(value, str)} for revision in (old, new)
    ]
    return Differences(old, new, gains, _changes(*told), _changes(*numbers), _changes(old.params, new.params), rows, no_rows)


def sentence(revision: Revision) -> str:
    """The verdict's, or that there is none."""
    return str(revision.metrics.get("verdict", {}).get("sentence") or "There is no verdict.")


def _gains(metrics: dict[str, Any]) -> dict[str, Measured]:
    """The verdict's gains on all of test, by words for a reader."""
    found = {}
    for control, of_control in metrics.get("verdict", {}).items():
        if control in CONTROLS:
            for measure, own in of_control.get("test", {}).get("all", {}).items():
                name = f"gain over {CONTROLS[control]}: {MEASURES.get(measure, measure)}"
                found[name] = Measured(float(own["gain"]), own["low"], own["high"])
    return found


def _other(metrics: dict[str, Any]) -> Iterator[tuple[str, Measured]]:
    """What else a reader looks at: the tuned model on test, and what was selected."""
    tuned, sample = metrics.get("tuned", {}), flat(metrics.get("sample", {}))
    for measure, name in MEASURES.items():
        if tuned.get(f"test_{measure}") is not None:
            yield f"test {name} of the tuned model", Measured(tuned[f"test_{measure}"])
    for key, name in SAMPLE.items():
        if sample.get(key) is not None:
            yield name, Measured(sample[key])


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """What differs, in the order of the second, then what it lacks."""
    lacking = object()
    keys = [*new, *(key for key in old if key not in new)]
    return [Change(key, old.get(key), new.get(key)) for key in keys if not _same(old.get(key, lacking), new.get(key, lacking))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def _rows(old: Revision, new: Revision) -> Rows:
    before, after = old.selection, new.selection
    in_old, in_new = set(before["id"]), set(after["id"])
    return Rows(
        stayed=len(in_old & in_new),
        came=list(_only(new, in_old)),
        went=list(_only(old, in_new)),
    )


def _only(revision: Revision, others: set[str]) -> Iterator[Row]:
    """The rows that the other selection does not have."""
    try:
        records = revision.selected_records
    except NotCachedError:  # ids and reasons are worth telling by themselves
        records = {}
    table = revision.selection
    for id, source, reason in zip(table["id"], table["source"], table["reason"], strict=True):
        if id not in others:
            yield Row(id, source, reason, _beginning(records.get(id, {})))


def _beginning(record: dict[str, Any]) -> str:
    """The first turn that a user says, else the first turn."""
    turns = record.get("messages") or [{"content": ""}]
    return str(next((turn for turn in turns if turn.get("role") == "user"), turns[0])["content"])
