"""The dataset card of exported rows: the hub's YAML header, what the rows are, how they were selected, and what is missing.

In: facts and counts. Out: the text of `README.md`. No text from records or recipes is markup in it.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from shed.data.exports.forms import FORMS, Form, TrainOn

ABOUT_FORMS: dict[Form, str] = {
    "messages": "objects with `role` and `content`, with tools, tool calls, reasoning and weights where a record has them; "
    "an assistant's turn of weight 0 is read and not trained; `tools` is JSON text, the arguments of a call are an object",
    "prompt_completion": "messages before the last turn, and the last turn, which alone is trained",
    "alpaca": "`instruction` and `output`, with `system` and `history`; `input` is empty, since the instruction holds it",
    "sharegpt": "`conversations` of `from` and `value`; a tool call is JSON text from `function_call`, its result is from "
    "`observation`; neither ids of calls nor names beside results are kept",
    "given": "the rows as they were before shed read them; a column of ours whose name was taken begins with `shed_`",
}
OTHER_PROMPTS = (
    "**The prompts are others than in that tuning.** It had them in the plain form (`Question: ... Answer:`), and so were all "
    "gains measured. These files hold messages, which a trainer writes by the model's chat template. To measure what the "
    "trainer will tune, take the chat form and run again.\n"
)


@dataclass(frozen=True)
class CardFacts:
    """What the card tells beyond counts.

    Attributes:
        name: the heading.
        about: how the rows were selected, in a sentence or less.
        pool_rows: how many rows they were selected from.
        licences: by source, as far as they are known.
        plain_prompts: the rows were rated and tuned on in the plain form, not in the model's chat template.
    """

    name: str
    about: str
    pool_rows: int
    licences: Mapping[str, str]
    plain_prompts: bool = False


@dataclass
class FormCounts:
    """What became of the rows in one form.

    Attributes:
        rows: how many its files hold; 0: it has no files.
        left_out: how many the form cannot hold, by reason.
    """

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def card(facts: CardFacts, sources: Mapping[str, int], forms: Mapping[Form, FormCounts], train_on: TrainOn) -> str:
    """The text of `README.md`; `sources` counts the rows by source."""
    written = [form for form in FORMS if form in forms and forms[form].rows]
    header = yaml.safe_dump(_header(facts, sources, written), sort_keys=False, allow_unicode=True)
    total = sum(sources.values())
    counts = [[f"`{form}/`", f"{forms[form].rows:,}", ABOUT_FORMS[form]] for form in written]
    left = [
        [f"`{form}/`", f"{count:,}", escaped(reason)]
        for form in FORMS
        if form in forms
        for reason, count in sorted(forms[form].left_out.items())
    ]
    by_source = [
        [escaped(source), f"{count:,}", escaped(facts.licences.get(source, "")) or "not known"]
        for source, count in sorted(sources.items())
    ]
    answers = "every answer" if train_on == "all" else "the last answer alone"
    return "\n".join(
        [
            f"---\n{header}---",
            f"# {escaped(facts.name)}\n",
            f"{total:,} instruction examples, selected by `shed` from {facts.pool_rows:,}: {escaped(facts.about)}.\n",
            "Each row has its `id` and `source`, and as far as they were measured the `cluster` it belongs to, that cluster's "
            "`score`, its own `rating`, and the `reason` for which it was selected.\n",
            "## Forms\n",
            "Each folder has `train.jsonl` and `train.parquet` with the same rows.\n",
            _table(["folder", "rows", "form"], counts),
            f"Rows of `alpaca/` and `sharegpt/` are meant to be trained on {answers}.\n",
            "## Left out\n",
            "A row that a form would change, or of which it would train other turns, is left out of that form.\n",
            _table(["folder", "rows", "reason"], left) if left else "Every form holds every row.\n",
            "## Sources\n",
            _table(["source", "rows", "licence"], by_source),
            "## Tune on it\n",
            "`configs/` has settings for TRL, axolotl and LLaMA-Factory, as in the tuning that the rows were selected for.\n",
            *([OTHER_PROMPTS] if facts.plain_prompts else []),
        ]
    )


def escaped(text: str) -> str:
    """The text on one line, with nothing in it that Markdown or HTML reads as markup."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def _header(facts: CardFacts, sources: Mapping[str, int], written: list[Form]) -> dict[str, Any]:
    licences = {facts.licences.get(source, "") for source in sources}
    header: dict[str, Any] = {"pretty_name": " ".join(facts.name.split())}
    if len(licences) == 1 and re.fullmatch(r"[A-Za-z0-9.-]+", only := licences.pop()):
        header["license"] = only.lower()
    header |= {"task_categories": ["text-generation"], "tags": ["shed", "data-selection"]}
    header["configs"] = [
        {"config_name": form, "data_files": [{"split": "train", "path": f"{form}/train.parquet"}]} for form in written
    ]
    if header["configs"]:
        header["configs"][0]["default"] = True
    return header


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
