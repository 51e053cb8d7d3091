"""Documents of lm-eval's tasks as records: `lm_eval:gsm8k`, or `lm_eval:my_task.yaml`.

In: a name. Out: a `Record` for each document of one split of the task, or a `BadRecord` for one that is none.

What lm-eval measures on, the test split or, where a task has none, the validation split, is for the test set alone. Dev has the
validation split if it is another one, else the training split.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.data.formats.opening import bad
from shed.data.readers import BadRecord, Reading
from shed.data.records import Message, Record
from shed.data.tasks.files import files_of, is_task_file
from shed.data.tasks.named import base_of, load_tasks, short_name

SCHEME = "lm_eval:"
QUESTION, ANSWER = "Question:", "Answer:"  # labels that most tasks write, and the plain form writes, too
WRITTEN = ("generate_until", "loglikelihood")  # what lm-eval calls tasks whose target is a text


class _None(ValueError):
    """Why a document is no record."""


def is_task(where: str) -> bool:
    return where.startswith(SCHEME)


def task_records(
    where: str, split: str, source: str | None, reading: Reading, locate: Callable[[str], str] = str
) -> Iterator[Record | BadRecord]:
    """The documents of a task, or of each task of a group in turn.

    The prompt is what the task asks without examples, its description being the system's turn; the response is the right option
    or the target, of several the first.

    Args:
        where: `lm_eval:` and a name, or the path of a task file.
        split: `test` for what lm-eval measures on, `dev` for what may define utility.
        source: of all records; None: the task's own name.
        reading: counts what is read.

    Raises:
        ShedError: no such task, its data cannot be loaded, it has no such split, or it is of a kind that makes no records.
    """
    name = where.removeprefix(SCHEME)
    try:
        tasks = load_tasks(name, locate)
    except ShedError as error:
        raise ShedError(str(error), f"records of {split}") from error
    for task in tasks:
        own = task.config.task
        called = split_of(task, where, split)
        documents = _documents(task, called)
        place = f"{where}, split {called}" if own == short_name(name) else f"{where}, {own}, split {called}"
        _check(task, where)
        for n, document in enumerate(documents, start=1):
            origin = f"{place}, document {n}"
            try:
                record = _record(task, document, source or short_name(name), origin)
            except _None as reason:
                reading.set_aside[place, str(reason)] += 1
                yield BadRecord(origin, source or short_name(name), str(reason), bad("", str(document)).text)
            except Exception as error:  # templates and functions are the task's own
                said = " ".join(str(error).split())[:200]
                raise ShedError(f"{origin}: the task cannot write it ({type(error).__name__}: {said})") from error
            else:
                reading.rows[place, "question_answer"] += 1
                yield record


def split_of(task: Any, where: str, split: str) -> str:
    """The name of the task's split that is read; see `task_records`."""
    config = task.config
    measured = config.test_split or config.validation_split
    if split == "test":
        if measured is None:
            raise ShedError(
                f"{where}: the task {config.task} has neither a test nor a validation split; name another for test",
                "records of test",
            )
        return str(measured)
    others = [own for own in (config.validation_split, config.training_split) if own is not None and own != measured]
    if not others:
        raise ShedError(
            f"{where}: the task {config.task} has one split alone, {measured}, which lm-eval measures on, and selecting by it "
            "would be selecting by the test; name another task, or a file of such questions",
            f"records of {split}",
        )
    return str(others[0])


def task_digests(where: str, locate: Callable[[str], str] = str) -> dict[str, str]:
    """What a task is read from: of a task file the SHA-256 of each local file by its path; of a name the version of lm-eval.

    Data that a hub holds is not looked at; it stays as it was first loaded, in the hub's cache.

    Raises:
        ShedError: the task file cannot be read.
    """
    name = where.removeprefix(SCHEME)
    found = {where: f"of lm-eval {version('lm-eval')}"}
    if is_task_file(name):
        base = base_of(name, locate).absolute()
        for path in files_of(Path(locate(name)).expanduser().absolute(), base):
            shown = path.relative_to(base) if path.is_relative_to(base) else path
            with path.open("rb") as file:
                found[shown.as_posix()] = file_digest(file, "sha256").hexdigest()
    return found


def without_labels(record: Record) -> Record:
    """A task's record as the plain form has it, which writes `Question:` and `Answer:` itself."""
    if not is_task(record.origin):
        return record
    *earlier, user, response = record.messages
    return replace(record, messages=(*earlier, replace(user, content=_bare(user.content)), response))


def questions_of(record: Record) -> Sequence[str]:
    """What a task's record asks, without its description: as the task asks it, and without labels. Of other records nothing."""
    if not is_task(record.origin):
        return ()
    asked = record.messages[-2].content
    return list(dict.fromkeys((asked, _bare(asked), f"{QUESTION} {_bare(asked)}\n{ANSWER}")))


def _bare(text: str) -> str:
    return text.strip().removeprefix(QUESTION).removesuffix(ANSWER).strip() or text


def _documents(task: Any, called: str) -> Any:
    """The documents of the task's split of this name, as the task prepares them."""
    config = task.config
    if called == config.test_split:
        return task.test_docs()
    return task.validation_docs() if called == config.validation_split else task.training_docs()


def _check(task: Any, where: str) -> None:
    name, kind = task.config.task, task.OUTPUT_TYPE
    if kind != "multiple_choice" and kind not in WRITTEN:
        raise ShedError(f"{where}: the task {name} is of the kind {kind}, which asks nothing; name another")
    if task.multiple_input:
        raise ShedError(
            f"{where}: the task {name} has its options within the question, of which no record is made; name another"
        )
    if task.config.doc_to_image or task.config.doc_to_audio:
        raise ShedError(f"{where}: the task {name} has images or sounds, which are not read; name another")


def _record(task: Any, document: Any, source: str, origin: str) -> Record:
    config = task.config
    described = task.resolve_field(document, config.description) or ""
    prefix = task.resolve_field(document, config.gen_prefix) or ""
    asked = task.doc_to_text(document)
    asked = f"{asked}{config.target_delimiter}{prefix}" if prefix else str(asked)
    target = task.doc_to_target(document)
    system = [Message("system", described.strip())] if described.strip() else []
    choices: tuple[str, ...] = ()
    answer: int | None = None
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = tuple(str(option).strip() for option in task.doc_to_choice(document))
        answer = _right(target, choices)
        response = choices[answer]
    else:
        response = str(target[0] if isinstance(target, list) and target else target).strip()
    return Record((*system, Message("user", asked.strip()), Message("assistant", response)), source, origin, choices, answer)


def _right(target: Any, choices: Sequence[str]) -> int:
    """The place of the right option; lm-eval takes a number or the option itself."""
    if isinstance(target, list | tuple):
        if len(target) != 1:
            raise _None("several right options")
        target = target[0]
    if isinstance(target, str) and target.strip() in choices:
        return choices.index(target.strip())
    if isinstance(target, bool) or not isinstance(target, int) or not 0 <= target < len(choices):
        raise _None("no right option")
    return target
