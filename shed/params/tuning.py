"""The groups of `params.yaml` that say what is selected, tuned, exported, evaluated and judged.

In: a section of the file. Out: the same, checked.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shed.data.exports.forms import Form as ExportForm
from shed.params.section import Modules, Positive, PositiveFloat, Section, Seed


class Exclude(Section):
    prompt_fit: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="records whose responses fit their prompts worse than this (`quality.prompt_fit`) are not selected; null: "
        "all may be"
    )


class Sample(Section):
    budget: Literal["rows", "tokens"] = Field(
        description="what the budget counts: rows, or response tokens, whose loss the tuning sees"
    )
    fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="budget as a share of the pool's rows or response tokens; null if rows or tokens is set"
    )
    rows: Positive | None = Field(description="budget as a number of rows; null if fraction is set")
    tokens: Positive | None = Field(description="budget as a number of response tokens; null if fraction is set")
    too_long: bool = Field(description="take records that are longer than the context, too, as it cuts them")
    exclude: Exclude
    f: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="qwcs draws a cluster with probability ∝ exp(f · score); some 800 fit ratings, and 20 Shapley scores"
    )
    within: Literal["random", "nearest", "rating"] | None = Field(
        description="which rows of a cluster qocs and qwcs take first: random ones, those nearest its centre, the best rated; "
        "null: the nearest for qocs, random ones for qwcs"
    )
    balance: Literal["none", "source", "cluster", "length", "source_and_length"] = Field(
        description="what must not be left out: any source, cluster, quarter of the rows by their response tokens, or such a "
        "quarter of a source; none: nothing"
    )
    floor: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of the budget that is shared out evenly by `balance`; 1: all of it"
    )
    seed: Seed = Field(description="seed of qwcs and random")
    given: str | None = Field(description="file of ids, rows or scores that sampler given takes rows by; null: none")

    @model_validator(mode="after")
    def one_budget(self) -> Self:
        if [self.fraction, self.rows, self.tokens].count(None) != 2:
            raise ValueError(
                "set exactly one of sample.fraction, sample.rows and sample.tokens, and the others to null; to change one with "
                "-S: `-S sample.fraction=null -S sample.rows=20`"
            )
        if (self.rows if self.budget == "tokens" else self.tokens) is not None:
            other = "rows" if self.budget == "tokens" else "tokens"
            raise ValueError(f"sample.budget is {self.budget}, but sample.{other} is set; set sample.budget to {other}")
        return self

    @property
    def amount(self) -> int | None:
        """The budget as a number, in its unit; None if it is a share."""
        return self.rows if self.budget == "rows" else self.tokens


class Finetune(Section):
    r: Positive = Field(description="LoRA rank")
    alpha: Positive = Field(description="LoRA alpha")
    modules: Modules = Field(description="names of the linear layers that get LoRA weights, in every layer")
    lr: PositiveFloat = Field(description="peak learning rate of AdamW; it falls linearly to 0")
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = Field(description="share of the steps in which the rate rises")
    batch_size: Positive = Field(description="records a step")
    epochs: Positive = Field(description="passes over the selected rows")
    seed: Seed = Field(description="seed of initial weights and order")


class Export(Section):
    forms: list[ExportForm] = Field(description="forms in which the selection is written for trainers; []: none")
    merged: bool = Field(description="write the base model with the adapter merged into it, too")


class Written(Section):
    limit: Annotated[int, Field(ge=0)] | None = Field(
        description="records without options, of each source, whose responses the model also writes; null: all, 0: none"
    )
    max_new_tokens: Positive = Field(description="longest response that is written, in tokens")


class Evaluate(Section):
    limit: Positive | None = Field(description="items of each task; null: all")
    batch_size: Positive = Field(description="questions scored at once")
    tasks: list[str] = Field(
        description="more lm-eval tasks, of multiple choice or with written answers, by name (from the Hugging Face Hub) or "
        "YAML file; []: none"
    )
    written: Written


class VerdictSettings(Section):
    seeds: Annotated[int, Field(ge=0)] = Field(
        description="under how many seeds the selection and its controls are tuned, at least 3; 0: no verdict"
    )
    full: bool = Field(description="compare with the whole pool, too")

    @model_validator(mode="after")
    def an_interval_needs_three(self) -> Self:
        if self.seeds in (1, 2):
            raise ValueError(f"verdict.seeds is {self.seeds}; an interval needs at least 3; 0 turns the verdict off")
        return self


class Tracking(Section):
    """Where the final tuning is followed; it changes no result."""

    report_to: list[Literal["dvclive", "mlflow", "trackio", "wandb"]] = Field(
        description="experiment trackers that get the final tuning's curve, the params and the verdict; []: none"
    )
    project: Annotated[str, Field(min_length=1)] = Field(description="the trackers' project, which MLflow calls an experiment")


class Judge(Section):
    base_url: str | None = Field(description="an OpenAI-compatible endpoint, up to and with /v1; null: nothing is judged")
    model: str | None = Field(description="the judge's name at the endpoint; its key is read from $SHED_JUDGE_KEY")
    questions: str = Field(description="JSON or JSONL file of `question`, or of `turns` as in MT-Bench")
    against: str | None = Field(description="folder of an adapter, which DVC does not watch; null: the base model")
    max_new_tokens: Positive = Field(description="longest answer, in tokens")
    seed: Seed = Field(description="seed of the interval's bootstrap")

    @model_validator(mode="after")
    def judge_is_named(self) -> Self:
        if self.base_url is not None and not self.model:
            raise ValueError("judge.base_url is set, but judge.model is null; name the model that judges")
        return self
