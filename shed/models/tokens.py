"""Tokens of a rendered text, each with the characters that it stands for.

In: `Rendered` texts. Out: `Tokens`. The form's own control tokens are such; those that a record's text spells are text.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from shed.models.rendering import Rendered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Tokens(NamedTuple):
    """Tokens of a text, and the characters (start, end) that each stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]

    def touching(self, start: int, end: int) -> range:
        """The tokens that stand for a character from `start` to `end`."""
        first = bisect.bisect_right(self.offsets, start, key=lambda offset: offset[1])
        return range(first, max(first, bisect.bisect_left(self.offsets, end, key=lambda offset: offset[0])))

    def within(self, start: int, end: int) -> Iterator[int]:
        """Those that stand for nothing else."""
        return (n for n in self.touching(start, end) if start <= self.offsets[n][0] and self.offsets[n][1] <= end)


@dataclass(frozen=True)
class Tokeniser:
    """A tokenizer, and what finds its control tokens' names in a text."""

    tokenizer: "PreTrainedTokenizerBase"
    control_tokens: re.Pattern[str]

    def tokens(self, written: Rendered) -> Tokens:
        """The text is tokenised as a whole, as trainers do, unless control tokens are hidden in it."""
        if not written.hidden:
            found = self.tokenizer(written.text, add_special_tokens=False, return_offsets_mapping=True)
            return Tokens(found["input_ids"], found["offset_mapping"])
        whole, at = Tokens([], []), 0
        for control in self.control_tokens.finditer(written.text):
            self._add_text(whole, written, at, control.start())
            at = control.end()
            whole.ids.append(self.tokenizer.convert_tokens_to_ids(control.group()))
            whole.offsets.append((control.start(), at))
        self._add_text(whole, written, at, len(written.text))
        return whole

    def _add_text(self, whole: Tokens, written: Rendered, start: int, end: int) -> None:
        """Add the tokens of a text without control tokens, with the names that were hidden in it put back as text."""
        own = [written.hidden.get(character, character) for character in written.text[start:end]]
        before = self._anchor if start else ""
        found = self.tokenizer(
            before + "".join(own), add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
        )
        place = [start] * len(before) + [start + n for n, said in enumerate(own) for _ in said]
        for token, (first, last) in zip(found["input_ids"], found["offset_mapping"], strict=True):
            if last > len(before):
                whole.ids.append(token)
                whole.offsets.append((place[first], place[last - 1] + 1))

    @cached_property
    def _anchor(self) -> str:
        """What keeps a text from being tokenised as the first of a sequence, where that makes a difference."""
        control = str(self.tokenizer.all_special_tokens[0])
        alone = self.tokenizer.encode("a", add_special_tokens=False)
        return "" if self.tokenizer.encode(f"{control}a", add_special_tokens=False)[1:] == alone else "\n"
