"""What a record must not repeat: prompts of earlier splits and questions of tasks that will be measured.

In: the records of dev and test and the tasks' texts; then a record. Out: what the record repeats, if anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shed.data.duplicates import prompt_key, prompt_keys, text_key
from shed.data.near_duplicates import NearIndex, asked, sketch
from shed.data.records import Record


@dataclass(frozen=True)
class Repeat:
    """`in_<split or task>` where a prompt is equal; `near_<…>` where it is like `of`, with the Jaccard similarity."""

    reason: str
    of: str | None = None
    similarity: float | None = None


@dataclass
class Elsewhere:
    """Prompts that stand elsewhere, as digests.

    A prompt is what stands before a response or, in a conversation, before any turn that is trained. Two conversations that
    merely begin alike ("Hi") do not repeat each other: one of the two prompts must be its record's whole prompt.

    Attributes:
        near: the least Jaccard similarity of a near-duplicate; None: only equal prompts are looked for.
    """

    near: float | None
    _whole: dict[bytes, str] = field(default_factory=dict)  # what stands before a response, and tasks' questions
    _within: dict[bytes, str] = field(default_factory=dict)  # what stands before each turn that is trained
    _like: dict[str, NearIndex] = field(default_factory=dict)
    _called: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # of each index, what its texts are called
    _tasks: set[str] = field(default_factory=set)

    def add(self, record: Record, split: str, also: Sequence[str] = ()) -> None:
        """Add a record's prompts, and other texts that ask the same."""
        for key in (prompt_key(record), *map(text_key, also)):
            self._whole.setdefault(key, split)
        for key in prompt_keys(record):
            self._within.setdefault(key, split)
        self._add_near(split, record.id, asked(record))

    def add_task(self, name: str, number: int, text: str) -> None:
        """Add a task's question; a hit calls it by its number."""
        self._tasks.add(name)
        self._whole.setdefault(text_key(text), name)
        self._add_near(name, str(number), text)

    def repeated(self, record: Record, split: str, also: Sequence[str] = ()) -> Repeat | None:
        """What a record of `split` repeats, or `also`, other texts that ask the same.

        The test set may hold a task's question: both measure, and neither selects.
        """
        keys = [*map(text_key, also), *prompt_keys(record)]
        for key in keys:
            if (name := self._whole.get(key)) and self._counts(name, split):
                return Repeat(f"in_{name}")
        if name := self._within.get(keys[-1]):
            return Repeat(f"in_{name}")
        own = sketch(asked(record)) if self._like else None
        for name, index in self._like.items():
            if own is not None and self._counts(name, split) and (hit := index.nearest(own)):
                return Repeat(f"near_{name}", self._called[name][hit.place][0], hit.similarity)
        return None

    def _add_near(self, name: str, called: str, text: str) -> None:
        if self.near is not None:
            if name not in self._like:
                entries = self._called[name] = list[tuple[str, str]]()
                self._like[name] = NearIndex(self.near, lambda place: entries[place][1])
            self._called[name].append((called, text))
            self._like[name].add(sketch(text))

    def _counts(self, name: str, split: str) -> bool:
        return not (split == "test" and name in self._tasks)
