"""The verdict: whether a selection is better than its controls, in numbers with intervals and in a sentence.

In: the evaluated items of runs of a selection and of its controls, under the same seeds. Out: a `Verdict`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from shed.evaluation.comparison import MEASURES, Measure, compare, compare_by_task, luck_of_a_draw, share_of_items

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
    """How much better the selection is than a control by a measure, higher is better, and the ends of its 95 % interval.

    The interval is of these very rows. Rows that were drawn at random are by chance a little better or worse than the mean of
    all draws, too, and a selection counts as better or worse only if it is more so than a draw may be.

    Attributes:
        luck: how far one draw of such rows may lie from the mean of others by chance; 0 where the control is no draw.
        of_items: the share of the gain's variance that is between items, the rest being between seeds; None if it is not known.
    """

    gain: float
    low: float
    high: float
    luck: float = 0.0
    of_items: float | None = None

    @property
    def detectable(self) -> float:
        """From which gain on a run like this one would call a selection better: half the interval, or the luck of a draw."""
        return max((self.high - self.low) / 2, self.luck)

    @property
    def better(self) -> bool:
        """True if the whole interval is above 0, and the gain above what a lucky draw has."""
        return self.low > 0 and self.gain > self.luck

    @property
    def worse(self) -> bool:
        """True if the whole interval is below 0, and the loss above what an unlucky draw has."""
        return self.high < 0 and -self.gain > self.luck

    @property
    def perhaps_luck(self) -> bool:
        """True if the interval leaves 0 out, and a draw may have as much by chance."""
        return not self.low <= 0 <= self.high and not (self.better or self.worse)


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
        said = f"On test, the selection is {', and '.join(self._compared(control) for control in self.against)}"
        return "; ".join([said, ", ".join(self._lost)] if self._lost else [said]) + "."

    @property
    def claim(self) -> str:
        """The first claim of the sentence, which decides."""
        return f"On test, the selection is {self._compared(self.first)}."

    @property
    def also(self) -> str:
        """What else the sentence says; empty if it says no more."""
        others = [f"it is {self._compared(control)}" for control in self.against if control != self.first]
        return " ".join(f"{said[0].upper()}{said[1:]}." for said in [*others, *self._lost])

    @property
    def meaning(self) -> str:
        """What to do with that, for a reader who knows no statistics."""
        gain, control = self.headline(self.first), SAID[self.first]
        if gain.better:
            return f"For tasks like those of test, tune on this selection rather than on {control}."
        if gain.worse:
            return f"For tasks like those of test, do not tune on this selection: {control} are better."
        if gain.perhaps_luck:
            return (
                f"It differs from the very rows that were drawn as {control}, but a single other draw of such rows may by "
                f"chance be up to {gain.luck:.2f} better or worse than they are on average, and {abs(gain.gain):.2f} is no "
                "more than that. So this run gives no reason to prefer this way of selecting, and does not show that there is "
                "none. More seeds would tell more."
            )
        return (
            f"So this run gives no reason to prefer this selection to {control}: on test it may be anything from "
            f"{-gain.low:.2f} worse to {gain.high:.2f} better, and a true gain below about {gain.detectable:.2f} would not "
            f"show in a run of this size. {_narrower(gain)}, but not make it better if the true gain is about 0."
        )

    @property
    def first(self) -> Control:
        """The control that decides."""
        return next(iter(self.against))

    @property
    def _lost(self) -> list[str]:
        """The single tasks on which the selection is worse."""
        return [
            f"on {task} it is worse by {_size(gains['loss'])}"
            for task, gains in self.against[self.first].gains["test"].items()
            if task != "all" and "loss" in gains and gains["loss"].worse
        ]

    def _compared(self, control: Control) -> str:
        return _compared(self.headline(control), SAID[control])

    def headline(self, control: Control) -> Gain:
        """The gain in loss on all of test."""
        return self.against[control].gains["test"]["all"]["loss"]

    def to_metrics(self) -> dict[str, Any]:
        """All of it, for a metrics file."""
        return {
            "sentence": self.sentence,
            "claim": self.claim,
            "also": self.also,
            "meaning": self.meaning,
            "better": self.headline(self.first).better,
            "of_items": self.headline(self.first).of_items,
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
                                measure: {"gain": gain.gain, "low": gain.low, "high": gain.high, "luck": gain.luck}
                                for measure, gain in of.items()
                            }
                            for task, of in by_task.items()
                        }
                        for split, by_task in own.gains.items()
                    },
                }
                for control, own in self.against.items()
            },
        }


def gains(selection: pd.DataFrame, control: pd.DataFrame, drawn: bool = True) -> dict[str, dict[str, dict[Measure, Gain]]]:
    """The selection's gains over a control, by split, task and measure; see `shed.evaluation.comparison.compare`.

    Args:
        selection, control: the items of their runs, with `seed`, of three seeds or more.
        drawn: the control's rows are drawn anew for each seed.
    """
    both = pd.concat([selection.assign(method=SELECTION), control.assign(method="control")]).assign(fraction=1.0)
    found: dict[str, dict[str, dict[Measure, Gain]]] = {}
    for split in SPLITS:
        by_task = compare_by_task(both, split, "control").replace({"task": {"all": f"{split}_all"}})  # a source of that name
        table = pd.concat([compare(both, split, "control").assign(task="all"), by_task])
        rows = {method: of.set_index("task") for method, of in table.groupby("method")}
        own, controls = rows[SELECTION].to_dict("index"), rows["control"].to_dict("index")
        found[split] = {str(task): _of_measures(row, controls[task] if drawn else None) for task, row in own.items()}
        if "loss" in found[split]["all"]:
            share = share_of_items(both, split, "control", SELECTION, "loss")
            known = None if np.isnan(share) else share
            found[split]["all"]["loss"] = replace(found[split]["all"]["loss"], of_items=known)
    return found


def _of_measures(row: Mapping[Any, Any], draws: Mapping[Any, Any] | None) -> dict[Measure, Gain]:
    found: dict[Measure, Gain] = {}
    for measure in MEASURES:
        if np.isfinite(row.get(f"{measure}_gain", np.nan)):
            gain, low, high = (float(row[f"{measure}_{end}"]) for end in ("gain", "gain_low", "gain_high"))
            luck = 0.0 if draws is None else float(luck_of_a_draw(draws[f"{measure}_std"], int(draws["seeds"])))
            found[measure] = Gain(gain, low, high, luck)
    return found


def _compared(gain: Gain, what: str) -> str:
    if gain.better:
        return f"better than {what} by {_size(gain)}"
    if gain.worse:
        return f"worse than {what} by {_size(gain)}"
    found = f"gain {gain.gain:.2f} [{gain.low:.2f}, {gain.high:.2f}] {UNITS['loss']}"
    return f"not shown to be better than {what} ({found}{', which a draw may have by luck' if gain.perhaps_luck else ''})"


def _narrower(gain: Gain) -> str:
    """What would make an interval narrower."""
    if gain.of_items is None:
        return "More seeds or more test records would narrow that"
    return f"More {'test records' if gain.of_items > 0.5 else 'seeds'} would narrow that most"


def _size(gain: Gain) -> str:
    """The size of a gain or loss in loss, with its interval."""
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{abs(gain.gain):.2f} {UNITS['loss']} [{low:.2f}, {high:.2f}]"
