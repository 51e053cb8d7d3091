"""From a row of a form to a record.

In: the values of a row and how to read them. Out: a `Record`, or `SetAside` with the reason why the row is none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shed.data.forms.characters import may_hold_control, refuse_control, single_line
from shed.data.forms.choices import choices_of, with_choice
from shed.data.forms.columns import (
    ALPACA,
    INSTRUCTION_RESPONSE,
    OWN_COLUMNS,
    PROMPT_COMPLETION,
    QUESTION_ANSWER,
    Columns,
    columns_of,
)
from shed.data.forms.conversations import TrainOn, conversation, refuse_disorder, trained, with_system
from shed.data.forms.found import FormName, is_of, keys_of, meant
from shed.data.forms.placeholders import refuse_placeholders
from shed.data.forms.tools import tools_of
from shed.data.forms.turns import WEIGHTS, turn_of
from shed.data.forms.values import Fields, SetAside, as_given, is_empty, shown
from shed.data.records import Message, Record

CONVERSATIONS: dict[FormName, tuple[str, ...]] = {"messages": ("messages",), "sharegpt": ("conversations", "conversation")}
COLUMNS: dict[FormName, Columns] = {
    "alpaca": ALPACA,
    "instruction_response": INSTRUCTION_RESPONSE,
    "question_answer": QUESTION_ANSWER,
    "prompt_completion": PROMPT_COMPLETION,
    "columns": OWN_COLUMNS,
}

MOST_KEYS = 12  # in a message
SAYS_WHETHER = ("skip", *WEIGHTS)


@dataclass(frozen=True)
class RowReader:
    """How rows of one file are read.

    Attributes:
        form: of the rows.
        columns: the user's columns by our names.
        ignore: keys that are not looked at; of turns and their parts, weights that are not, and keys that may stay unused; `*`:
            all that stay unused.
        train_on: every assistant's turn, or the last alone.
    """

    form: FormName
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: Collection[str] = ()
    train_on: TrainOn = "all"

    def record(self, values: Mapping[str, Any], source: str | None, file: str, origin: str) -> Record:
        """The record that a row is.

        Args:
            values: the row.
            source: the record's source; None: the row's own, or the file's name where it has none.
            file: the file's name.
            origin: the file and the place in it.

        Raises:
            SetAside: the row is none, or says more than its form can use.
        """
        try:
            return self._record(values, source, file, origin)
        except RecursionError:
            raise SetAside("nested too deeply") from None

    def _record(self, values: Mapping[str, Any], source: str | None, file: str, origin: str) -> Record:
        seen = values
        if self.ignore:
            mapped = set(self.columns.values())
            seen = {key: value for key, value in values.items() if key in mapped or key not in self.ignore}
        fields = Fields(seen, self.ignore, self.columns)
        if not is_of(self.form, fields):
            raise SetAside(f"not of the form {self.form}; it has {keys_of(values)}{meant(values, self.columns)}")
        weight = _row_weight(fields)
        messages = with_system(self._messages(fields), self._system(fields))
        choices, answer = _choices(fields)
        if answer is not None:
            messages = with_choice(messages, choices[answer])
        refuse_disorder(messages)
        tools = tools_of(fields.take("tools", "functions"))
        turns = trained(messages, self.train_on, weight)
        source = source if source is not None else _own_source(fields) or file
        self._refuse_unused(fields, turns)
        own = fields.take("given") if fields.is_own else None
        ignored = [key for key in values if key not in seen or key in fields.ignored]
        if ignored:
            refuse_placeholders([turn.content for turn in turns], {key: values[key] for key in ignored})
        given = as_given(values, ignored)
        if may_hold_control(given):
            texts = [part for turn in turns for part in (turn.content, turn.reasoning, turn.name, turn.tool_call_id)]
            refuse_control([given, source, *choices, *texts], [tools, *(turn.tool_calls for turn in turns)])
        return Record(turns, source, origin, choices, answer, tools, own if isinstance(own, str) and own else given)

    def _messages(self, fields: Fields) -> list[Message]:
        if names := CONVERSATIONS.get(self.form):
            return conversation(fields.take(*names), self.ignore)
        messages = columns_of(fields, COLUMNS[self.form], self.ignore)
        if "reasoning" in self.columns and (reasoning := fields.text("reasoning")):
            if messages[-1].reasoning:
                raise SetAside("a turn has reasoning both in its content and beside it")
            messages[-1] = replace(messages[-1], reasoning=reasoning)
        return messages

    def _system(self, fields: Fields) -> str:
        """The system text; Anthropic has it as a list of parts, Gemini as a turn."""
        value = fields.take("system", "system_prompt")
        if is_empty(value):
            return ""
        if isinstance(value, list | dict):
            turn = value if isinstance(value, dict) else {"content": value}
            return turn_of({**turn, "role": "system"}, self.ignore, 1.0).content
        return fields.text("system", "system_prompt")

    def _refuse_unused(self, fields: Fields, turns: tuple[Message, ...]) -> None:
        said = [turn.content for turn in turns]
        unused = fields.unused(said)
        text = fields.take("text") if "text" in unused else None
        if isinstance(text, str) and all(part in text for turn in said for part in turn.split("\n\n")):
            unused.remove("text")  # Alpaca's own: the row written out by its template
        if unused:
            one = len(unused) == 1
            keys = f"key {shown(unused[0])} is" if one else f"keys {', '.join(map(shown, unused[:MOST_KEYS]))} are"
            more = f" ({len(unused)} in all)" if len(unused) > MOST_KEYS else ""
            hint = meant(unused, self.columns)
            todo = "name it as a column, or ignore it if it says nothing" if one else "name them as columns, or ignore them"
            raise SetAside(f"the {keys} not used by the form {self.form}{more}{hint}; {todo}", "ignored keys")


def _row_weight(fields: Fields) -> float:
    """What the weights of the row's turns are multiplied with.

    Raises:
        SetAside: the row says not to train on it.
    """
    if not fields.has(*SAYS_WHETHER):
        return 1.0
    told = {key: fields.number(key) for key in SAYS_WHETHER}
    if told.pop("skip") or 0.0 in (told["train"], told["training"]):
        raise SetAside("says not to train on it")
    weights = {weight for weight in told.values() if weight is not None}
    if len(weights) > 1:
        raise SetAside("has two weights that differ")
    return weights.pop() if weights else 1.0


def _choices(fields: Fields) -> tuple[tuple[str, ...], int | None]:
    choices = fields.take("choices")
    if is_empty(choices):
        return (), None
    return choices_of(choices, fields.take("answer", "answerKey"))


def _own_source(fields: Fields) -> str:
    """The row's own source, if it names one."""
    value = fields.take("source")
    return single_line(value, "`source`") if isinstance(value, str) else ""
