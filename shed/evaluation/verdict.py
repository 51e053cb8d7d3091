"""The verdict: whether a selection is better than its controls, in numbers with intervals and in a sentence.

In: the evaluated items of runs of a selection and of its controls, under the same seeds. Out: a `Verdict`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from shed.evaluation.comparison import MEASURES, Measure, compare, compare_by_task

Control = Literal["random_rows", "random_tokens", "all_rows"]
SAID: dict[Control, str] = {
    "random_rows": "random rows of the same number",
    "random_tokens": "random rows with as many response tokens",
    "all_rows": "the whole pool",
}
UNITS: dict[Measure, str] = {
    "loss": "nats a response token",
    "choice_loss": "nats a question",
    "accuracy": "in accuracy",
    "generation": "in generation score",
}
SPLITS = ("test", "dev")
SELECTION = "selection"


@dataclass(frozen=True)
class Gain:
    """How much better the selection is than a control by a measure, higher is better, and the ends of its 95 % interval."""

    gain: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """True if the whole interval is above 0."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """True if the whole interval is below 0."""
        return self.high < 0


@dataclass(frozen=True)
class Against:
    """The selection against one control.

    Attributes:
        rows, response_tokens: of the control, means over seeds.
        shared: the share of the control's rows that the selection has, too.
        gains: by split, then by task, `all` being the mean over its tasks, then by measure.
    """

    rows: float
    response_tokens: float
    shared: float
    gains: Mapping[str, Mapping[str, Mapping[Measure, Gain]]]


@dataclass(frozen=True)
class Verdict:
    """A selection against its controls.

    Attributes:
        seeds: under which all were tuned.
        rows, response_tokens: of the selection.
        against: by control; the first is the one that has as much as the selection of what its budget counts.
    """

    seeds: Sequence[int]
    rows: int
    response_tokens: int
    against: Mapping[Control, Against]

    @property
    def sentence(self) -> str:
        """What was found, in words: loss on all of test, then what was lost on single tasks."""
        parts = [_compared(self.headline(control), SAID[control]) for control in self.against]
        worse = [
            f"on {task} it is worse by {_size(gains['loss'])}"
            for task, gains in self.against[self.first].gains["test"].items()
            if task != "all" and "loss" in gains and gains["loss"].worse
        ]
        said = f"On test, the selection is {', and '.join(parts)}"
        return f"{said}; {', '.join(worse)}." if worse else f"{said}."

    @property
    def meaning(self) -> str:
        """What to do with that, for a reader who knows no statistics."""
        gain, control = self.headline(self.first), SAID[self.first]
        if gain.better:
            return f"For tasks like those of test, tune on this selection rather than on {control}."
        if gain.worse:
            return f"For tasks like those of test, do not tune on this selection: {control} are better."
        return (
            f"So there is no reason to prefer this selection to {control}: on test it may be anything from {-gain.low:.2f} "
            f"worse to {gain.high:.2f} better. More seeds or more test records would narrow that."
        )

    @property
    def first(self) -> Control:
        """The control that decides."""
        return next(iter(self.against))

    def headline(self, control: Control) -> Gain:
        """The gain in loss on all of test."""
        return self.against[control].gains["test"]["all"]["loss"]

    def to_metrics(self) -> dict[str, Any]:
        """All of it, for a metrics file."""
        return {
            "sentence": self.sentence,
            "meaning": self.meaning,
            "better": self.headline(self.first).better,
            "seeds": len(self.seeds),
            "rows": self.rows,
            "response_tokens": self.response_tokens,
            **{
                control: {
                    "rows": own.rows,
                    "response_tokens": own.response_tokens,
                    "shared": own.shared,
                    **{
                        split: {
                            task: {
                                measure: {"gain": gain.gain, "low": gain.low, "high": gain.high} for measure, gain in of.items()
                            }
                            for task, of in by_task.items()
                        }
                        for split, by_task in own.gains.items()
                    },
                }
                for control, own in self.against.items()
            },
        }


def gains(selection: pd.DataFrame, control: pd.DataFrame) -> dict[str, dict[str, dict[Measure, Gain]]]:
    """The selection's gains over a control, by split, task and measure; see `shed.evaluation.comparison.compare`.

    Args:
        selection, control: the items of their runs, with `seed`, of three seeds or more.
    """
    both = pd.concat([selection.assign(method=SELECTION), control.assign(method="control")]).assign(fraction=1.0)
    found: dict[str, dict[str, dict[Measure, Gain]]] = {}
    for split in SPLITS:
        by_task = compare_by_task(both, split, "control").replace({"task": {"all": f"{split}_all"}})  # a source of that name
        table = pd.concat([compare(both, split, "control").assign(task="all"), by_task])
        own = table[table["method"] == SELECTION].to_dict("records")
        found[split] = {str(row["task"]): _of_measures(row) for row in own}
    return found


def _of_measures(row: Mapping[Any, Any]) -> dict[Measure, Gain]:
    names = {measure: [f"{measure}_{end}" for end in ("gain", "gain_low", "gain_high")] for measure in MEASURES}
    return {
        measure: Gain(*(float(row[column]) for column in columns))
        for measure, columns in names.items()
        if np.isfinite(row.get(columns[0], np.nan))
    }


def _compared(gain: Gain, what: str) -> str:
    if gain.better:
        return f"better than {what} by {_size(gain)}"
    if gain.worse:
        return f"worse than {what} by {_size(gain)}"
    return f"not shown to be better than {what} (gain {gain.gain:.2f} [{gain.low:.2f}, {gain.high:.2f}] {UNITS['loss']})"


def _size(gain: Gain) -> str:
    """The size of a gain or loss in loss, with its interval."""
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{abs(gain.gain):.2f} {UNITS['loss']} [{low:.2f}, {high:.2f}]"
