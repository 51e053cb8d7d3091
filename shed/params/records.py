"""The groups of `params.yaml` that say what is read, and what turns records into vectors and clusters.

In: a section of the file. Out: the same, checked.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from shed.common.errors import ShedError
from shed.data.forms.found import FormName, check_columns
from shed.data.recipes import Line
from shed.data.tasks.combining import check_worst
from shed.data.tasks.dev_tasks import DevTask, check_weights
from shed.params.section import Positive, PositiveFloat, Section, Seed

PATH, TASKS = "(a path)", "(dev tasks)"  # which of its two types data.dev has; pydantic names them in errors


def _kind(value: Any) -> str | None:
    return TASKS if isinstance(value, Mapping) else PATH if isinstance(value, str) else None


DevTasks = Annotated[dict[Line, DevTask], Field(min_length=1), AfterValidator(check_weights)]
Dev = Annotated[
    Annotated[str, Tag(PATH)] | Annotated[DevTasks, Tag(TASKS)],
    Discriminator(
        _kind,
        custom_error_type="dev",
        custom_error_message="a path, lm_eval:TASK, names that have `from` and `weight` each, or null",
    ),
]


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
    dev: Dev | None = Field(
        description="records that define utility: in the same forms, lm_eval:TASK (a name or a task file), or several of these "
        "as {NAME: {from: …, weight: …}}; null: a part split off the pool"
    )
    test: str | None = Field(
        description="records that evaluation alone sees, in the same forms or lm_eval:TASK; null: a part split off the pool"
    )
    dev_combine: Literal["mean", "worst"] = Field(
        description="what several dev tasks make together: the weighted mean of their utilities, or the least gain among them"
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

    @model_validator(mode="after")
    def worst_is_of_several(self) -> Self:
        if self.dev_combine == "worst":
            tasks = self.dev if isinstance(self.dev, dict) else {}
            try:
                check_worst({name: task.weight for name, task in tasks.items()})
            except ShedError as error:
                raise ValueError(f"data.dev_combine is worst: {error}") from error
        return self


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


class Quality(Section):
    prompt_fit: bool = Field(
        description="judge how each response fits its prompt, beside other responses; it embeds prompts and responses apart"
    )


class Cluster(Section):
    method: Literal["kmeans", "minibatch_kmeans", "agglomerative"] = Field(description="how embeddings are clustered")
    proxies_per_cluster: Positive = Field(description="records nearest the centre that stand for a cluster (the paper: 1)")
    seed: Seed = Field(description="seed of the k-means start")
