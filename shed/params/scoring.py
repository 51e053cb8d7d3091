"""The groups of `params.yaml` that say how records are rated, and how clusters are scored and audited.

In: a section of the file. Out: the same, checked.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shed.params.section import Modules, Positive, PositiveFloat, Section, Seed

ENDLESS = ("metagradient", "regression", "permutation")  # methods that only a budget ends


class Rate(Section):
    """What each pool record would add, to first order, to a model that was tuned on random ones."""

    utility: Literal["dev_loss", "choice_loss"] | None = Field(
        description="what ratings are of; null: choice_loss where all dev records have options, else dev_loss"
    )
    warm_rows: Annotated[int, Field(ge=0)] = Field(
        description="random pool rows that the model is tuned on before it rates; 0: nothing is rated"
    )
    method: Literal["warm", "in_run", "checkpoints"] = Field(
        description="warm: rate at the end of that tuning; in_run: by dev's gradients at all its steps; checkpoints: at the "
        "end of each epoch, which takes as many times as long"
    )
    screen: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        description="share of the pool that is rated: a third of it random rows, the rest those that are like the best of "
        "these; null: the whole pool"
    )
    dev_rows: Positive | None = Field(description="dev records that utility is measured on; null: all")
    seed: Seed = Field(description="seed of the warm start: its rows, initial LoRA weights and batches")
    per: Literal["record", "token"] = Field(
        description="what top and score.by ratings go by: ratings of whole records, or these divided by their response tokens"
    )


class ScoringRegime(Section):
    """The cheap training in which utilities are measured, and the warm start of ratings."""

    depth: Positive | None = Field(description="how many top layers carry LoRA weights; null: all")
    r: Positive = Field(description="LoRA rank")
    alpha: Positive = Field(description="LoRA alpha; the update is scaled by alpha / r")
    modules: Modules = Field(description="names of the linear layers that get LoRA weights")
    optimizer: Literal["sgd", "adamw", "frozen_adam"] = Field(
        description="optimiser of a coalition's tuning; frozen_adam moves as adamw does, and metagradients work with it"
    )
    lr: PositiveFloat = Field(description="learning rate")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="momentum of sgd, first beta of adamw and frozen_adam")
    batch_size: Positive = Field(description="records a step, before the coalition drops some")
    epochs: Positive = Field(description="passes over the proxies, and over the rows of the warm start")
    schedule: Literal["constant", "linear"] = Field(description="learning rate: constant, or up and then down to 0")
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(description="linear: share of the steps in which it rises")


class Budget(Section):
    """What scoring may spend; the first limit that is met ends it."""

    evaluations: Positive | None = Field(description="coalitions tuned and measured, runs with gradients too; null: no limit")
    fte: PositiveFloat | None = Field(description="fine-tune equivalents; null: no limit")
    minutes: PositiveFloat | None = Field(description="minutes of tuning and measuring; null: no limit")


class Target(Section):
    """What ends scoring before its budget does."""

    stderr: PositiveFloat | None = Field(description="mean standard error of the scores, in units of utility; null: none")
    rank_stability: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="reliability of the scores' order between halves of the rounds; null: none"
    )


class MetagradientSettings(Section):
    weighting: Literal["shapley", "banzhaf"] = Field(description="how coalitions are weighted")
    redraw: bool = Field(
        description="each run with initial weights and batches of its own, so that scores are averaged over them"
    )
    check_smoothness: bool = Field(description="compare the gradients of two close weightings first")


class RegressionSettings(Section):
    weighting: Literal["shapley", "banzhaf"] = Field(description="how coalitions are weighted")
    surrogate: Literal["none", "in_run", "metagradient"] = Field(description="cheap scores that evaluations then correct")
    check_smoothness: bool = Field(description="surrogate metagradient: compare the gradients of two close weightings first")


class RemovalSettings(Section):
    n: Positive = Field(description="clusters that are removed together in one step")
    k: Positive = Field(description="iterations, each a new order of removal")


class ShapiqSettings(Section):
    approximator: str = Field(description="shapiq's approximator class, such as KernelSHAP; needs shed-tuning[shapiq]")


class Score(Section):
    method: Literal["metagradient", "in_run", "regression", "permutation", "removal", "exact", "shapiq"] = Field(
        description="estimator of the Shapley scores: removal is the paper's, exact takes at most 12 clusters"
    )
    metagradient: MetagradientSettings
    in_run: None = Field(description="has no settings of its own")
    regression: RegressionSettings
    permutation: None = Field(description="has no settings of its own")
    removal: RemovalSettings
    exact: None = Field(description="has no settings of its own")
    shapiq: ShapiqSettings
    utility: Literal["dev_loss", "choice_loss", "accuracy"] = Field(
        description="what is measured on dev: −nats per response token, −cross-entropy over a question's options, or accuracy"
    )
    budget: Budget
    target: Target
    on_divergence: Literal["stop", "skip"] = Field(description="what a tuning that diverges does: end scoring, or be left out")
    by: Literal["ratings", "shapley"] = Field(
        description="a cluster's score: the mean rating of its records, or its proxies' Shapley score (the paper's)"
    )
    dev_rows: Positive | None = Field(description="dev records that utility is measured on; null: all")
    seed: Seed = Field(description="seed of coalitions, initial LoRA weights and batches")

    @model_validator(mode="after")
    def method_fits(self) -> Self:
        limits = (self.budget.evaluations, self.budget.fte, self.budget.minutes)
        if self.method in ENDLESS and all(limit is None for limit in limits):
            raise ValueError(f"score.method {self.method} goes on until its budget ends: set one of score.budget")
        if self.method == "shapiq" and (self.budget.evaluations or 0) < 4:
            raise ValueError("score.method shapiq plans with score.budget.evaluations: set it to at least 4")
        surrogate = self.regression.surrogate if self.method == "regression" else "none"
        by_gradient = "metagradient" in (self.method, surrogate) or "in_run" in (self.method, surrogate)
        if by_gradient and self.utility == "accuracy":
            raise ValueError("score.utility accuracy has no gradient: use choice_loss, or another score.method")
        return self


class Fidelity(Section):
    coalitions: Annotated[int, Field(ge=4)] = Field(description="unseen half coalitions that the scores are tested on")
    target_coalitions: Annotated[int, Field(ge=4)] | None = Field(
        description="how many of them are also tuned as the final tuning is (all its layers, steps and lr); null: none"
    )
    target_draws: Positive = Field(
        description="final tunings of each of those, with other initial weights and batches; their mean utility is predicted"
    )
    target_utility: Literal["dev_loss", "choice_loss", "accuracy"] = Field(description="what is measured after those tunings")
    seed: Seed = Field(description="seed of these coalitions; it must differ from score.seed")

    @model_validator(mode="after")
    def target_is_a_part(self) -> Self:
        if (self.target_coalitions or 0) > self.coalitions:
            raise ValueError(
                f"fidelity.target_coalitions is {self.target_coalitions}; it must be at most fidelity.coalitions, "
                f"{self.coalitions}, since the same coalitions are tuned in both regimes"
            )
        return self
