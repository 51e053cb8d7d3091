"""All of `params.yaml`, and what must fit between its groups.

In: the file's keys and values. Out: a frozen `Params`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shed.params.records import Cluster, Data, Embed, Model, Quality
from shed.params.scoring import Fidelity, Rate, Score, ScoringRegime
from shed.params.section import Section
from shed.params.tuning import Evaluate, Export, Finetune, Judge, Sample, Tracking, VerdictSettings

MOST_EXACT = 12


class Params(Section):
    """All of `params.yaml`."""

    C: Annotated[int, Field(ge=2)] = Field(description="number of clusters")
    sampler: Literal["top", "qocs", "qwcs", "random", "full", "given"] = Field(
        description="how rows are selected: by ratings (top), by scores (qocs, qwcs), elsewhere (given), or by none of these"
    )
    data: Data
    model: Model
    embed: Embed
    quality: Quality
    cluster: Cluster
    regime: ScoringRegime
    rate: Rate
    score: Score
    fidelity: Fidelity
    sample: Sample
    finetune: Finetune
    export: Export
    evaluate: Evaluate
    verdict: VerdictSettings
    tracking: Tracking
    judge: Judge
    engine: Literal["local", "ray"] = Field(
        description="where records are embedded and models are tuned and measured: in the stage's own process, or by workers "
        "of a Ray cluster"
    )
    engine_address: str | None = Field(
        description="HOST:PORT of the Ray cluster; auto for the one that runs here; null starts one of this machine alone"
    )

    @model_validator(mode="after")
    def groups_fit(self) -> Self:
        n = self.score.removal.n
        if self.score.method == "removal" and n > self.C:
            raise ValueError(f"score.removal.n is {n}, but there are C = {self.C} clusters to remove; n must be at most C")
        if self.score.method == "exact" and self.C > MOST_EXACT:
            raise ValueError(f"score.method exact takes at most {MOST_EXACT} clusters, and C is {self.C}")
        return self

    @model_validator(mode="after")
    def pool_is_large_enough(self) -> Self:
        rows = self.data.pool_rows
        if rows is not None and rows < self.C:
            raise ValueError(f"C is {self.C}, but data.pool_rows is {rows}; C must be at most that")
        if rows is not None and (self.sample.rows or 0) > rows:
            raise ValueError(f"sample.rows is {self.sample.rows}, but data.pool_rows is {rows}; it must be at most that")
        return self

    @model_validator(mode="after")
    def questions_have_room(self) -> Self:
        longest, context = self.judge.max_new_tokens, self.model.max_tokens
        if self.judge.base_url is not None and longest >= context:
            raise ValueError(f"judge.max_new_tokens is {longest}, but model.max_tokens is {context}; no room is left to ask")
        written = self.evaluate.written
        if written.limit != 0 and written.max_new_tokens >= context:
            raise ValueError(
                f"evaluate.written.max_new_tokens is {written.max_new_tokens}, but model.max_tokens is {context}; no room is "
                "left to ask; lower it, or set evaluate.written.limit to 0"
            )
        return self

    @model_validator(mode="after")
    def ratings_are_there(self) -> Self:
        if not self.rate.warm_rows and self.sampler == "top":
            raise ValueError("sampler top takes rows by their ratings, but rate.warm_rows is 0, so nothing is rated; set it")
        if not self.rate.warm_rows and self.score.by == "ratings":
            raise ValueError(
                "score.by is ratings, but rate.warm_rows is 0, so nothing is rated; set it, or set score.by to shapley"
            )
        return self

    @model_validator(mode="after")
    def clusters_are_taken_by_their_rows(self) -> Self:
        within = self.sample.within
        if within is not None and self.sampler not in ("qocs", "qwcs"):
            raise ValueError(
                f"sample.within is {within}, but sampler {self.sampler} does not take rows by their clusters; set it to null, "
                "or set sampler to qocs or qwcs"
            )
        if within == "rating" and not self.rate.warm_rows:
            raise ValueError(
                "sample.within is rating, but rate.warm_rows is 0, so nothing is rated; set it, or set sample.within to nearest"
            )
        return self

    @model_validator(mode="after")
    def enough_is_rated(self) -> Self:
        screen, fraction = self.rate.screen, self.sample.fraction
        if screen is None or not self.rate.warm_rows:
            return self
        if self.score.by == "ratings":
            raise ValueError(
                f"score.by is ratings, and with rate.screen {screen} those of a cluster are mostly of its best rows; set "
                "rate.screen to null, or score.by to shapley"
            )
        if self.sampler == "top" and fraction is not None and fraction > screen:
            raise ValueError(
                f"sample.fraction is {fraction}, but only a share of {screen} is rated (rate.screen); raise that, or set it to "
                "null"
            )
        return self

    @model_validator(mode="after")
    def selection_is_given(self) -> Self:
        if self.sampler == "given" and self.sample.given is None:
            raise ValueError("sampler given takes a selection from a file, but sample.given is null; name the file")
        if self.sampler == "given" and self.sample.balance != "none":
            raise ValueError(
                f"sample.balance is {self.sample.balance}, but sampler given takes a selection as it is; set it to none"
            )
        return self

    @model_validator(mode="after")
    def fits_are_there(self) -> Self:
        least = self.sample.exclude.prompt_fit
        if least is not None and not self.quality.prompt_fit:
            raise ValueError(
                f"sample.exclude.prompt_fit is {least}, but quality.prompt_fit is false, so no fit is known; set it to true, "
                "or set sample.exclude.prompt_fit to null"
            )
        return self

    @model_validator(mode="after")
    def audit_is_unseen(self) -> Self:
        if self.fidelity.seed == self.score.seed:
            raise ValueError(
                f"fidelity.seed and score.seed are both {self.score.seed}; they must differ, so that no audited coalition "
                "is one that the scores were made from"
            )
        return self
