"""Recipes: YAML files that say which data sets make up a pool, a dev set or a test set.

In: a recipe's path. Out: its sources, which are packaged data sets or the user's own data, and the packaged ones' `Record`s.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.files import from_here
from shed.data.formats.archives import MOST_BYTES
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import AS_SURROGATES, Bad, bad, told_in_one_line
from shed.data.formats.yaml_text import parse_yaml, read_yaml, utf8
from shed.data.forms.characters import UNWRITABLE
from shed.data.forms.found import FormName, check_columns
from shed.data.packaged import Wheel, check_digest, check_requirement, read_members
from shed.data.readers import BadRecord
from shed.data.records import Record, single_turn

MOST_YAML = 2_000_000  # bytes of a source of conversations, since YAML is slow to read
MOST_LINES, MOST_ROW = 5_000_000, 16_000_000  # lines of a source; characters of a line


def _line(text: str) -> str:
    if not text.strip() or any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in text):
        raise ValueError("must be a line of text without control characters")
    return text


def _checked(check: Callable[[str], None]) -> AfterValidator:
    """A check that raises ShedError as one of a field, so that its message names the source and the key."""

    def apply(text: str) -> str:
        try:
            check(text)
        except ShedError as error:
            raise ValueError(str(error)) from error
        return text

    return AfterValidator(apply)


Line = Annotated[str, AfterValidator(_line)]


class Source(BaseModel):
    """One data set inside a wheel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line
    package: Annotated[str, _checked(check_requirement)]
    sha256: Annotated[str, _checked(check_digest)]
    files: Line
    form: Literal["multiple_choice", "question_answer", "conversations"]
    licence: Line

    @property
    def wheel(self) -> Wheel:
        return Wheel(self.package, self.sha256)


class UserSource(BaseModel):
    """The user's own data, read by `shed.data.readers`.

    Attributes:
        name: the source that its records belong to.
        path: a file, a folder, a glob or hf://…, as `shed.data.files` takes them; relative to the folder of the run.
        form: the form of its rows; None: found by content.
        columns: our name of a column to the user's; None: the form's own.
        list_key: where a JSON file is one object, the key of the list in it.
        ignore: keys of its rows that say nothing about what is tuned.
        licence: the data's licence, for the data card.

    What a source says takes the place of what is said for all (`own_settings`), an empty value, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line
    path: Line
    form: FormName | None = None
    columns: Annotated[dict[str, str], AfterValidator(check_columns)] | None = None
    list_key: str | None = None
    ignore: tuple[str, ...] = ()
    licence: Line = "the user's own"

    @property
    def own_settings(self) -> dict[str, Any]:
        """How its rows are read, as far as it says so itself."""
        return {key: getattr(self, key) for key in ("form", "columns", "list_key", "ignore") if key in self.model_fields_set}


def _kind(value: Any) -> str | None:
    if isinstance(value, Source | UserSource):
        return "packaged" if isinstance(value, Source) else "own"
    if not isinstance(value, dict):
        return None
    return "own" if "path" in value else "packaged" if "package" in value else None


AnySource = Annotated[
    Annotated[Source, Tag("packaged")] | Annotated[UserSource, Tag("own")],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message="must have `package` (a packaged data set) or `path` (your own data)",
    ),
]


class Recipe(BaseModel):
    """The sources of one split, in the order in which duplicates are resolved: the first copy is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Annotated[tuple[AnySource, ...], Field(min_length=1)]

    @property
    def packaged(self) -> tuple[Source, ...]:
        """The sources that come from wheels."""
        return tuple(source for source in self.sources if isinstance(source, Source))


def is_recipe(path: Path | str) -> bool:
    return Path(path).suffix.lower() in {".yaml", ".yml"}


def read_recipe(path: Path | str) -> Recipe:
    """Read and check a recipe.

    Raises:
        ShedError: the file is absent, too large, not YAML, or has a key or value that a recipe does not have; the message
            names the file, the source and the key.
    """
    if not Path(path).exists():
        raise ShedError(f"{path}: no such recipe{from_here(Path(path))}")
    with told_in_one_line(path):
        value = read_yaml(Path(path), "recipe; name data files as they are, or by `path`")
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise ShedError(f"{path}: not a recipe: {_first(error, value)}; see data/pool.yaml") from error


def read_source(source: Source) -> Iterator[Record | BadRecord]:
    """The records of one packaged data set, one at a time; memory does not grow with the wheel.

    Raises:
        ShedError: the wheel cannot be had, is larger than it may be, or a file in it is not of the source's form.
    """
    talks = source.form == "conversations"
    left = iter(range(MOST_LINES))
    for member, file in read_members(source.wheel, source.files, max_bytes=MOST_YAML if talks else MOST_BYTES):
        where = f"{source.package}: {member}"
        if talks:
            found = _conversations(parse_yaml(utf8(file.read(), where), where), source.name, member, where)
        else:
            found = _lines(source, file, member, where, left)
        yield from map(_writable, found)


def _lines(source: Source, file: "BufferedReader[Any]", member: str, where: str, left: Iterator[int]) -> Iterator[Record]:
    parse: Callable[[Any, str, str], Record] = _multiple_choice if source.form == "multiple_choice" else _question_answer
    refused = f"not a row of the form {source.form}"
    with TextIOWrapper(file, "utf-8-sig", errors=AS_SURROGATES) as text:
        for n in itertools.count(1):
            if not (line := text.readline(MOST_ROW + 1)):
                return
            if next(left, None) is None or len(line) > MOST_ROW:
                raise ShedError(
                    f"{where}, line {n}: a source may have {MOST_LINES:,} lines of {MOST_ROW:,} characters; name other `files`"
                )
            if line.strip():
                row = parse_object(line)
                if isinstance(row, Bad):
                    raise ShedError(f"{where}, line {n}: {refused} ({row.reason}); name other `files`")
                try:
                    record = parse(row, source.name, f"{member}, line {n}")
                except (ValueError, LookupError, TypeError, AttributeError) as error:
                    raise ShedError(f"{where}, line {n}: {refused}; name other `files`") from error
                yield record


def _writable(record: Record) -> Record | BadRecord:
    """The record, or the reason why it is set aside: a character that not all that comes later lets out again."""
    text = "\n".join((*(turn.content for turn in record.messages), *record.choices))
    if found := UNWRITABLE.search(text):
        reason = f"holds the control character U+{ord(found.group()):04X}"
        return BadRecord(record.origin, record.source, reason, bad("", text).text)
    return record


def _multiple_choice(row: dict[str, str], source: str, origin: str) -> Record:
    """Options are lettered lines and the answer begins with its letter; the letters go, since they are not what is learnt.

    A row whose answer is none of its options gets an empty response, which preparation sets aside.
    """
    prompt = " ".join(part.strip() for part in (row.get("passage", ""), row["question"]) if part.strip())
    options = re.split(r"\n(?=[A-Z]\. )", row["options"].strip())
    choices = [option[3:].strip() for option in options]
    letters = [option[:3] for option in options]
    if not isinstance(row["answer"], str):
        raise TypeError("the answer is no text")
    if row["answer"][:3] not in letters:
        return single_turn(prompt, "", source, origin)
    answer = letters.index(row["answer"][:3])
    return single_turn(prompt, choices[answer], source, origin, choices, answer)


def _question_answer(row: dict[str, list[str]], source: str, origin: str) -> Record:
    """Of several accepted answers the first, which is the data set's best one, is the response."""
    answers = row["answer"]
    if not isinstance(answers, list):
        raise TypeError("one text would be taken for a list of letters")
    return single_turn(str(row["question"]).strip(), answers[0].strip() if answers else "", source, origin)


def _conversations(value: Any, source: str, member: str, where: str) -> Iterator[Record]:
    """Each turn and the one after it make a pair; an entry that is not a list of turns is skipped, as its package does."""
    entries = value.get("conversations") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise ShedError(f"{where}: holds no list of `conversations`; name other `files`")
    for n, turns in enumerate(entries, start=1):
        if isinstance(turns, list):
            for prompt, response in itertools.pairwise(turns):
                yield single_turn(str(prompt).strip(), str(response).strip(), source, f"{member}, entry {n}")


def _first(error: ValidationError, value: Any) -> str:
    """The first fault, of an unknown key if there is one: which source, which key, and what is wrong."""
    fault = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")[0]
    place = [part for part in fault["loc"] if part not in {"packaged", "own"}]
    words = []
    if len(place) > 1 and place[0] == "sources" and isinstance(place[1], int):
        source = value["sources"][place[1]]
        name = source.get("name") if isinstance(source, dict) else None
        words.append(f"source {place[1] + 1}" + (f" ({name[:60]!r})" if isinstance(name, str) else ""))
        place = place[2:]
    words += [".".join(map(str, place))[:100]] if place else []
    hint = did_you_mean(str(fault["loc"][-1]), _allowed(fault["loc"])) if fault["type"] == "extra_forbidden" else ""
    hint = f"; {hint.strip()}" if hint else ""
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ": ".join([*words, fault["msg"].removeprefix("Value error, ")]).replace("\n", " ") + hint + more


def _allowed(place: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where one is not known."""
    model: type[BaseModel] = Source if "packaged" in place else UserSource if "own" in place else Recipe
    return list(model.model_fields)
