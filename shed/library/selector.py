"""`Selector`: a pool, dev and test, and the method's verbs on them.

In: rows and settings. Out: results (`shed.library.results`). What a verb needs of the others is computed once and kept.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.preparation import PreparedData
from shed.library.inputs import SPLITS, Inputs, rejects
from shed.library.measured import Measured
from shed.library.results import (
    ClusterResult,
    PlanResult,
    PromptFitResult,
    RatingResult,
    ScoreResult,
    SelectionResult,
    VerdictResult,
    verdict_result,
)
from shed.library.rows import Rows, rows_at
from shed.library.settings import changed, read_settings, with_fits
from shed.library.sources import Source, Tasks, dev_tasks
from shed.params import Params, Sample
from shed.selection.candidates import counts_left_out, totals
from shed.selection.given.order import select_given
from shed.selection.sampling import composition, select
from shed.settings.selecting import floor_of, given_order, sample_size


class Selector:
    """Selects rows of a pool to tune a model on, and measures whether they beat random rows.

    Args:
        pool: the rows to select from: a list of dictionaries, or a `datasets.Dataset`, in any form that the pipeline reads.
        dev: rows that define what is useful, or `lm_eval:TASK`, a task of lm-eval; or several of either with weights, as
            `{"maths": {"from": "lm_eval:gsm8k", "weight": 2}, "chat": {"from": rows, "weight": 1}}`. None: some of the pool
            are set aside for it.
        test: rows to measure on, which play no other part, or `lm_eval:TASK`. None: some of the pool are set aside for it.
        params: a params file whose settings are taken. None: those of a new project, but for the number of rows: all are used.
        folder: where ratings, scores, evaluations and runs are kept for another time, such as the folder `.shed` of a
            project. None: for as long as this object lives.
        **changes: settings by their names in `params.yaml`: `C=8`, `sample={"rows": 200}` or `**{"sample.rows": 200}`;
            `model="NAME"` is short for `model={"name": "NAME"}`.

    Raises:
        ShedError: one line that says which setting, which rows or what of the model is wrong, and what to do.
    """

    def __init__(
        self,
        pool: Rows,
        dev: Source | Tasks | None = None,
        test: Source | None = None,
        *,
        params: Path | str | None = None,
        folder: Path | str | None = None,
        **changes: Any,
    ) -> None:
        if isinstance(changes.get("model"), str):
            changes["model"] = {"name": changes["model"]}
        settings = read_settings(params, changes, dev_tasks(dev))
        kept = None if folder is None else Path(folder).expanduser()
        self._rows = pool
        self._inputs = Inputs({"pool": pool, "dev": dev, "test": test}, settings, kept)
        self._measured = Measured(self._inputs)

    def __repr__(self) -> str:
        own = self.prepared
        sizes = ", ".join(f"{split} {len(getattr(own, split)):,}" for split in SPLITS)
        aside = f"; {len(own.rejects):,} rows set aside (.rejects)" if own.rejects else ""
        return "\n".join([f"Selector of records ({sizes}) for {self.settings.model.name}{aside}", *self._inputs.notes])

    @property
    def settings(self) -> Params:
        """All settings."""
        return self._inputs.settings

    @property
    def prepared(self) -> PreparedData:
        """The records of pool, dev and test, and what was set aside."""
        return self._inputs.prepared

    @property
    def rejects(self) -> pd.DataFrame:
        """The rows that were set aside: `split`, `row` (its place in the split or dev task as you gave it, from 0), `source`
        and `reason`.
        """
        return rejects(self.prepared)

    def plan(self) -> PlanResult:
        """About how long the costly verbs take on this machine; the model is timed for it, for some seconds.

        Raises:
            ShedError: the model cannot be loaded.
        """
        from shed.library.forecast import plan  # loads what evaluates models

        known = {verb: self._measured.knows(name) for verb, name in (("rate", "ratings"), ("score", "scores"))}
        return plan(self._inputs, known)

    def rate(self) -> RatingResult:
        """Rate each record of the pool: what a step on it would add to what dev measures.

        Raises:
            ShedError: the settings have no rows for the warm start, a record cannot be measured, or the tuning diverged.
        """
        return self._measured.ratings

    def prompt_fit(self) -> PromptFitResult:
        """How well each record's response fits its prompt: low for responses that belong to other prompts. No model is tuned.

        Raises:
            ShedError: the embedder cannot be loaded.
        """
        return self._measured.prompt_fits

    def cluster(self) -> ClusterResult:
        """Embed the pool and group it into C clusters.

        Raises:
            ShedError: the embedder cannot be loaded, or C is larger than the number of distinct records.
        """
        return self._measured.clusters

    def score(self) -> ScoreResult:
        """Score each cluster, by its proxies' Shapley score or by the mean rating of its records.

        Raises:
            ShedError: a record cannot be tuned on or measured, or a tuning diverged.
        """
        return self._measured.scores

    def select(
        self,
        sampler: str | None = None,
        *,
        rows: int | None = None,
        tokens: int | None = None,
        fraction: float | None = None,
        **changes: Any,
    ) -> SelectionResult:
        """Select rows. What the sampler goes by is computed if it was not yet: ratings for `top`, scores for `qocs` and `qwcs`.

        Args:
            sampler: `top`, `qocs`, `qwcs`, `random`, `full` or `given`. None: that of the settings.
            rows: how many rows to select, instead of what the settings say.
            tokens: how many response tokens to select, instead of what the settings say.
            fraction: which share of the pool to select, instead of what the settings say.
            **changes: other settings of the section `sample`, for this selection alone: `too_long=True`, or
                `exclude={"prompt_fit": 0.5}`, which leaves out records with a lower `prompt_fit`.

        Raises:
            ShedError: a setting is wrong, or more is asked for than there is.
        """
        settings = self._for_selection(sampler, {"rows": rows, "tokens": tokens, "fraction": fraction}, changes)
        table, scores = self._measured.for_selection(settings)
        own = settings.sample
        size, counts = sample_size(own, table), {}
        if settings.sampler == "given":
            order = given_order(str(own.given), settings.data.reading, self.prepared.pool)
            found, counts = select_given(order, table, scores, size), order.counts
        else:
            floor = floor_of(own, settings.sampler)
            found = select(table, scores, settings.sampler, size, own.f, own.seed, floor, own.within)
        chosen = table.set_index("id").loc[found["id"]]
        metrics: dict[str, Any] = composition(found, table) | counts
        why = self._measured.left_out(settings)
        metrics |= {"lengths": totals(chosen)} | counts_left_out(why[~why.index.isin(table["id"])])
        if self._measured.knows("ratings"):
            found.insert(2, "rating", chosen["rating"].to_numpy())
        for of, name, metric in (("clusters", "cluster", "clusters"), ("scores", "score", "score_mean")):
            if not self._measured.knows(of):
                found, metrics = found.drop(columns=name), {key: one for key, one in metrics.items() if key != metric}
        found.insert(0, "row", found["id"].map(self._inputs.row_of))
        return SelectionResult(found, metrics, rows_at(self._rows, found["row"].tolist()), settings)

    def verdict(self, selection: SelectionResult | Sequence[str], *, seeds: int | None = None) -> VerdictResult:
        """Tune the model on the selection and on random rows under several seeds, and compare their losses on test.

        Args:
            selection: what `select` gave; or ids of pool records, which the table of any result has.
            seeds: how many, at least 3, instead of what the settings say.

        Raises:
            ShedError: an id is of no record, the selection is the whole pool, or a tuning diverged.
        """
        from shed.library import trials  # with peft and lm-eval, which take seconds to import and nothing else needs

        settings = selection.settings if isinstance(selection, SelectionResult) else self.settings
        if seeds is not None:
            settings = changed(settings, [{"verdict": {"seeds": seeds}}])
        ids = list(selection.table["id"] if isinstance(selection, SelectionResult) else selection)
        if unknown := [id for id in ids if id not in self._inputs.row_of]:
            raise ShedError(
                f"{len(unknown):,} of the {len(ids):,} selected ids are of no record of this pool; the first is {unknown[0]!r}"
            )
        if not ids or len(set(ids)) < len(ids):
            raise ShedError("the selection is empty or has a record twice; give each id once")
        allowed = self._measured.left_out(settings).isna()
        return verdict_result(trials.verdict(self._inputs, settings, ids, allowed))

    def _for_selection(self, sampler: str | None, sizes: Mapping[str, Any], changes: dict[str, Any]) -> Params:
        if wrong := [name for name in changes if name not in Sample.model_fields]:
            hint = did_you_mean(wrong[0], Sample.model_fields)
            own = ", ".join(Sample.model_fields)
            raise ShedError(f"select has no setting {wrong[0]!r}; {hint}it has {own}; all others are set for the Selector")
        sample = dict(changes)
        if any(value is not None for value in sizes.values()):
            sample |= sizes
            if sizes["fraction"] is None:
                sample["budget"] = "rows" if sizes["tokens"] is None else "tokens"
        return changed(self.settings, [with_fits({"sample": sample}), {} if sampler is None else {"sampler": sampler}])
