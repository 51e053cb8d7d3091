"""The one typed model of `params.yaml`: every key, its type, what values it may have, and what it means.

In: a YAML file. Out: a frozen `Params`. No field has a default: a key that is absent from the file would be a value that DVC
does not see. `python -m shed.params [FILE]` checks a file and prints the meaning of every key beside its value. A
description is printed in the report.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.exports.forms import Form as ExportForm
from shed.data.files import data_files, is_dataset
from shed.data.forms.found import FormName, check_columns
from shed.data.recipes import is_recipe, read_recipe

Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Modules = Annotated[list[str], Field(min_length=1)]
MOST_EXACT = 12
OUTPUTS_DEPEND_ON = ("describe",)  # see `shed.common.import_closure`
ENDLESS = ("metagradient", "regression", "permutation")  # methods that only a budget ends


class Section(BaseModel):
    """A group of params: unknown keys, wrong types and missing keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


AnySection = TypeVar("AnySection", bound=Section)


class Faults(Section):
    share: Annotated[float, Field(ge=0, le=1)] = Field(description="share of the pool's records that are damaged on purpose")
    kinds: Annotated[list[Literal["swapped", "wrong_option", "truncated", "duplicate"]], Field(min_length=1)] = Field(
        description="kinds of damage, used in turn"
    )
    sources: Annotated[list[str], Field(min_length=1)] | None = Field(description="in which sources; null: in all")


class Reading(Section):
    """How your own rows are read; a recipe may say otherwise of a source."""

    form: FormName | None = Field(description="form of the rows; null: found for each file by its keys")
    columns: Annotated[dict[str, str], AfterValidator(check_columns)] | None = Field(
        description="your columns by our names, as {prompt: my_question, response: my_reply}; null: the names of the form"
    )
    list_key: str | None = Field(description="key of the list of rows where a JSON file is one object; null: its only list")
    ignore: list[str] = Field(description="keys of your rows that say nothing about what is tuned; ['*']: all unused ones")
    train_on: Literal["all", "last"] = Field(description="assistant turns whose loss counts: all, or the last of each record")
    max_row_mb: PositiveFloat = Field(description="megabytes of a row beyond which it is set aside")


class Data(Section):
    pool: str = Field(
        description="records to select from: a recipe (.yaml), a file, a folder, a glob, or hf://datasets/ID@REVISION?split=…"
    )
    dev: str | None = Field(description="records that define utility, in the same forms; null: a part split off the pool")
    test: str | None = Field(
        description="records that evaluation alone sees, in the same forms; null: a part split off the pool"
    )
    reading: Reading
    max_rejects: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of a split's rows that may be unreadable, empty or unfit for the model before `prepare` stops"
    )
    near_duplicates: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="Jaccard similarity of word trigrams from which records are near-duplicates; null: only equal ones are"
    )
    pool_rows: Positive | None = Field(description="how many pool records to draw, stratified over sources; null: all")
    dev_rows: Positive | None = Field(
        description="how many dev records to draw; null: all, or where dev is null a tenth of the pool, at most 300"
    )
    test_rows: Positive | None = Field(
        description="how many test records to draw; null: all, or where test is null a tenth of the pool, at most 300"
    )
    faults: Faults
    seed: Seed = Field(description="seed of the draws and of the faults")


class Model(Section):
    name: str = Field(description="base model: packaged/NAME, a local folder, or an id of the Hugging Face Hub")
    prompt: Literal["plain", "chat"] = Field(description="`Question: …\\nAnswer:` or the tokenizer's chat template")
    max_tokens: Annotated[int, Field(ge=8)] = Field(
        description="context in tokens; of longer records first whole turns are cut, then the prompt's text, then the response"
    )


class Embed(Section):
    model: str = Field(
        description="sentence-transformers model: packaged/NAME, a local folder, or an id of the Hugging Face Hub"
    )
    of: Literal["prompt", "response", "both", "last_turn"] = Field(
        description="what of a record is embedded; last_turn: the last user turn and what follows"
    )
    batch_size: Positive = Field(description="texts embedded at once")


class Cluster(Section):
    method: Literal["kmeans", "minibatch_kmeans", "agglomerative"] = Field(description="how embeddings are clustered")
    proxies_per_cluster: Positive = Field(description="records nearest the centre that stand for a cluster (the paper: 1)")
    seed: Seed = Field(description="seed of the k-means start")


class Rate(Section):
    """What each pool record would add, to first order, to a model that was tuned on random ones."""

    utility: Literal["dev_loss", "choice_loss"] | None = Field(
        description="what ratings are of; null: choice_loss where all dev records have options, else dev_loss"
    )
    warm_rows: Annotated[int, Field(ge=0)] = Field(
        description="random pool rows that the model is tuned on before it rates; 0: nothing is rated"
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
    f: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="qwcs draws a cluster with probability ∝ exp(f · score); some 800 fit ratings, and 20 Shapley scores"
    )
    balance: Literal["none", "source", "cluster"] = Field(description="what must not be left out; none: nothing")
    floor: Annotated[float, Field(ge=0, le=1)] = Field(description="share of the budget that is shared out evenly by `balance`")
    seed: Seed = Field(description="seed of qwcs and random")
    given: str | None = Field(description="file of ids, rows or scores that sampler given takes rows by; null: none")

    @model_validator(mode="after")
    def one_budget(self) -> Self:
        if [self.fraction, self.rows, self.tokens].count(None) != 2:
            raise ValueError("set exactly one of sample.fraction, sample.rows and sample.tokens, and the others to null")
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


class Params(Section):
    """All of `params.yaml`."""

    C: Annotated[int, Field(ge=2)] = Field(description="number of clusters")
    sampler: Literal["top", "qocs", "qwcs", "random", "full", "given"] = Field(
        description="how rows are selected: by ratings (top), by scores (qocs, qwcs), elsewhere (given), or by none of these"
    )
    data: Data
    model: Model
    embed: Embed
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
    judge: Judge

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
    def selection_is_given(self) -> Self:
        if self.sampler == "given" and self.sample.given is None:
            raise ValueError("sampler given takes a selection from a file, but sample.given is null; name the file")
        if self.sampler == "given" and self.sample.balance != "none":
            raise ValueError(
                f"sample.balance is {self.sample.balance}, but sampler given takes a selection as it is; set it to none"
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


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file; see `load`."""
    return load(Params, path)


def load(section: type[AnySection], path: Path | str) -> AnySection:
    """Read and check a YAML file that holds a section.

    The file is read as YAML 1.2, as DVC writes it: `1e-05` is a number and `yes` a text.

    Raises:
        ShedError: one line with the first wrong key, its value and what is allowed.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ShedError(f"{path}: no such file; run in the project's root") from error
    except OSError as error:
        raise ShedError(f"{path}: {error.strerror}") from error
    except YAMLError as error:
        raise ShedError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ShedError(f"{path}: must be a mapping of keys to values, with the keys {', '.join(section.model_fields)}")
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise ShedError(f"{path}: {_explain(error, section)}") from error


def _explain(error: ValidationError, top: type[Section]) -> str:
    """The first error as one line; an unknown key goes first, since a typo shows as an unknown and a missing key."""
    found = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")[0]
    path = [str(part) for part in found["loc"]]
    key = ".".join(path)
    if found["type"] == "extra_forbidden":
        allowed = list(_section(path[:-1], top).model_fields)
        hint = did_you_mean(path[-1], allowed)
        return f"unknown key {key!r} with value {found['input']!r}; {hint}allowed here: {', '.join(allowed)}"
    if found["type"] == "missing":
        return f"key {key!r} is missing; every key must stand in the file"
    if found["type"] == "too_short":
        return f"{key} is empty; name at least {found['ctx']['min_length']}"
    if found["type"] == "value_error":
        said = str(found["ctx"]["error"])
        return said if _is_section(path, top) else f"{key}: {said}"
    message = "null" if found["type"] == "none_required" else found["msg"].removeprefix("Input should be ")
    return f"{key} is {found['input']!r}; it must be {message}"


def _is_section(path: list[str], top: type[Section]) -> bool:
    """True for a group of params, whose own checks name keys in full, and not one param."""
    annotation = _section(path[:-1], top).model_fields[path[-1]].annotation if path else top
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _section(path: list[str], top: type[Section]) -> type[BaseModel]:
    section: type[BaseModel] = top
    for part in path:
        annotation = section.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return section


class Line(NamedTuple):
    """A param's dotted name, its value, and what it means."""

    name: str
    value: str
    meaning: str


def describe(section: BaseModel, prefix: str = "") -> Iterator[Line]:
    """A line for each param; its meaning ends with the allowed values where they are few."""
    for name, field in type(section).model_fields.items():
        value: Any = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from describe(value, f"{prefix}{name}.")
        else:
            allowed = ", ".join(_choices(field.annotation))
            several = "any" if get_origin(field.annotation) is list else "one"
            meaning = f"{field.description}; {several} of {allowed}" if allowed else str(field.description)
            yield Line(prefix + name, "null" if value is None else str(value), meaning)


def _choices(annotation: Any) -> list[str]:
    """The values of a `Literal`, also of a list of one or beside None."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def check_files(params: Params) -> None:
    """Refuse records, questions and a selection that are not there, in words, before DVC does in its own.

    Raises:
        ShedError: the first of them.
    """
    data = params.data
    for key, path in {"data.pool": data.pool, "data.dev": data.dev, "data.test": data.test}.items():
        try:
            if path is None:
                continue
            if is_recipe(path):
                read_recipe(path)
            elif not is_dataset(path):
                data_files(path)
        except ShedError as error:
            raise ShedError(f"{key}: {error}") from error
    if params.sampler == "given" and not Path(params.sample.given or "").expanduser().is_file():
        raise ShedError(f"sample.given is {params.sample.given!r}; there is no such file here")
    if not Path(params.judge.questions).is_file():
        raise ShedError(f"judge.questions is {params.judge.questions!r}; there is no such file here")


def main() -> None:
    """`python -m shed.params [FILE]`"""
    parser = argparse.ArgumentParser(
        prog="python -m shed.params", description="Check a params file, and print each key with its value and its meaning."
    )
    parser.add_argument("file", nargs="?", default="params.yaml", help="the file (default: params.yaml)")
    try:
        params = load_params(parser.parse_args().file)
        check_files(params)
    except ShedError as error:
        sys.exit(f"shed: error: {error}")
    print("\n".join(f"{line.name:<36} {line.value:<38} {line.meaning}" for line in describe(params)))


if __name__ == "__main__":
    main()
