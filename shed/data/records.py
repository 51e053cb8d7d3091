"""Records: one instruction example each, and the files in which the project keeps them.

In: messages with their source. Out: `Record`s, whose id is a digest of their content.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """One instruction example.

    Attributes:
        messages: (role, content) turns; the last one is the assistant's, and is what a model is tuned on.
        source: the data set or file that it belongs to; scores and tables are broken down by it.
        origin: the file and the line (or entry) that it was read from.
        choices: the options of a multiple-choice record, else empty.
        answer: the index of the right option in `choices`, else None.
    """

    messages: tuple[tuple[str, str], ...]
    source: str
    origin: str
    choices: tuple[str, ...] = ()
    answer: int | None = None

    @property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of the messages; the source does not enter, so that a copy has the same id."""
        return hashlib.sha256(json.dumps(self.messages, ensure_ascii=False).encode()).hexdigest()[:16]

    @property
    def prompt(self) -> str:
        """Everything before the response, turns joined by newlines."""
        return "\n".join(content for _, content in self.messages[:-1])

    @property
    def response(self) -> str:
        return self.messages[-1][1]

    @property
    def normalised_prompt(self) -> str:
        return normalise(self.prompt)

    @property
    def normalised(self) -> str:
        """Prompt and response without case, punctuation, accents' encodings and spacing: equal for near-copies."""
        return normalise(self.prompt) + "\n" + normalise(self.response)

    def to_row(self) -> dict[str, Any]:
        return {"id": self.id, **asdict(self)}


def normalise(text: str) -> str:
    """Casefold, NFKC, and every run of non-word characters to one space."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip() or text.strip()


def single_turn(
    prompt: str, response: str, source: str, origin: str, choices: Iterable[str] = (), answer: int | None = None
) -> Record:
    return Record((("user", prompt), ("assistant", response)), source, origin, tuple(choices), answer)


def from_row(row: dict[str, Any]) -> Record:
    """The inverse of `Record.to_row`."""
    return Record(
        tuple((role, content) for role, content in row["messages"]),
        row["source"],
        row["origin"],
        tuple(row["choices"]),
        row["answer"],
    )


def read_records(path: Path | str) -> list[Record]:
    """Records that the project itself wrote, one JSON object a line."""
    with Path(path).open(encoding="utf-8") as file:
        return [from_row(json.loads(line)) for line in file]
