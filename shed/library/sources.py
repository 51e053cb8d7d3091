"""What pool, dev and test are given as: rows that are in memory, a task of lm-eval, or for dev several of either with weights.

In: what a caller gives. Out: its records, and dev's tasks as `data.dev` has them in params.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from shed.common.errors import ShedError
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.records import Record
from shed.data.splits import read_split
from shed.data.tasks.documents import SCHEME, is_task, without_labels
from shed.library.rows import HOW, Rows, read_rows
from shed.models.specs import Form

Source: TypeAlias = Rows | str  # `lm_eval:TASK` for dev and test
Tasks: TypeAlias = Mapping[str, Mapping[str, Any]]  # {NAME: {"from": SOURCE, "weight": NUMBER}}
IN_MEMORY = "rows"  # what settings have for the path of a task whose rows were passed


def dev_tasks(dev: Source | Tasks | None) -> dict[str, Any] | None:
    """Dev's tasks as params have them, to be checked as these are; None where dev is one set.

    Raises:
        ShedError: it is a mapping, and not one of tasks.
    """
    if not isinstance(dev, Mapping):
        return None
    if wrong := [name for name, task in dev.items() if not isinstance(task, Mapping) or not {"from", "weight"} <= set(task)]:
        raise ShedError(
            f"the dev is a {type(dev).__name__}, whose {str(wrong[0])!r} is no task; give rows, or tasks as "
            '{NAME: {"from": ROWS, "weight": 1}}, where "lm_eval:TASK" may stand for rows'
        )
    return {name: {**task, "from": _path(task["from"])} for name, task in dev.items()}


def read(
    given: Source | Tasks, split: str, settings: ReaderSettings, form: Form, reading: Reading
) -> Iterator[Record | BadRecord]:
    """The records of a split, in the order in which they were given.

    Args:
        form: in which a model reads them; the plain one writes itself what most tasks write before a question.
        reading: counts what is read of tasks of lm-eval.

    Raises:
        ShedError: rows or a task cannot be read.
    """
    tasks: Mapping[Any, Any] = given if isinstance(given, Mapping) and split == "dev" else {None: {"from": given}}
    for name, task in tasks.items():
        for one in _read(task["from"], split, settings, name, reading):
            yield without_labels(one) if form == "plain" and isinstance(one, Record) else one


def _read(
    source: Source, split: str, settings: ReaderSettings, name: str | None, reading: Reading
) -> Iterator[Record | BadRecord]:
    if not isinstance(source, str) or not is_task(source):
        if isinstance(source, str) and split != "pool":
            raise ShedError(f"the {split} is a str; {HOW}; or name a task of lm-eval as {SCHEME + 'TASK'!r}")
        yield from read_rows(source, split, settings, name)
        return
    for one in read_split(source, settings, reading, split=split):
        yield one if name is None else replace(one, source=name)


def _path(source: Source) -> str:
    return source if isinstance(source, str) else IN_MEMORY
