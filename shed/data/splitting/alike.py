"""Which records ask the same or nearly the same, so that none of them measures what a model was tuned on with another.

In: records. Out: the group of a record, all that are alike with it, with these, and so on.
"""

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil

import numpy as np

from shed.data.duplicates import prompt_keys
from shed.data.near_duplicates import asked, jaccard, shingles
from shed.data.records import Record

ROW_BITS, TOKEN_BITS = 24, 40  # of an entry's 64; more than 16 million records are not held in memory

SAMPLE, COMMON = 2000, 0.01  # records that are looked at, and the share of them from which on a trigram is common
ROUNDING = 1e-6


class Alike:
    """The groups of records whose prompts are equal or near-duplicates.

    Two records are alike where the whole prompt of one is equal to what stands before a trained turn of the other, as
    `shed.data.leakage` has it, or where their prompts' word trigrams have the Jaccard similarity. No pair is missed, as by
    MinHash some would be; only the groups that are asked for are looked for.

    An index is kept of the first trigrams of each prompt in one order, rare ones first: so many that two prompts that are alike
    have one of them in common (the prefix filter of Chaudhuri et al. 2006). Its memory is 8 bytes for each: at a similarity of
    0.7, for three of ten words.

    Args:
        near: the least Jaccard similarity of prompts that are alike, above 0 and at most 1.
        most: the size beyond which a group is not followed.
    """

    def __init__(self, records: Sequence[Record], near: float, most: int) -> None:
        self.near, self.most, self._records = near, most, records
        self._groups: dict[int, tuple[int, ...]] = {}
        self._too_large: set[int] = set()
        self._common = _common(records)
        whole, within, words, sizes = _Entries(), _Entries(), _Entries(), array("i")
        for row, record in enumerate(records):
            *parts, prompt = _prompt_tokens(record)
            whole.add([prompt], row)
            within.add(parts, row)
            own = _words(record)
            words.add(self._first(own), row)
            sizes.append(len(own))
        self._whole, self._within, self._words = whole.index(), within.index(), words.index()
        self._sizes = np.frombuffer(sizes, dtype=np.intc)

    def group(self, row: int) -> tuple[int, ...] | None:
        """The rows of a record's group, itself among them, in ascending order; None if they are more than `most`."""
        if row in self._groups:
            return self._groups[row]
        if row in self._too_large:
            return None
        found, todo = {row}, [row]
        while todo:
            for other in self._next_to(todo.pop(), found):
                found.add(other)
                todo.append(other)
                if len(found) > self.most or other in self._too_large:
                    self._too_large.update(found)
                    return None
        group = tuple(sorted(found))
        self._groups |= dict.fromkeys(group, group)
        return group

    def _next_to(self, row: int, found: set[int]) -> Iterator[int]:
        """The rows that are alike with one and not found yet, one at a time."""
        prompts, own = _prompt_tokens(self._records[row]), shingles(asked(self._records[row]))
        equal = np.concatenate([self._whole.rows(prompts), self._within.rows(prompts[-1:])])
        yield from (other for other in dict.fromkeys(equal.tolist()) if other not in found)
        for other in self._near(_words(self._records[row])):
            if other not in found and jaccard(own, shingles(asked(self._records[other]))) >= self.near:
                yield other

    def _near(self, own: set[int]) -> list[int]:
        """The rows whose similarity may be large enough, by how many of the first trigrams they share."""
        shared = np.bincount(self._words.rows(self._first(own)), minlength=len(self._sizes))
        rows = np.flatnonzero(shared)
        sizes = np.maximum(self._sizes[rows], len(own))
        most = shared[rows] + np.ceil(self.near * sizes - ROUNDING) - 1  # what both have is among the first of both, or after
        found: list[int] = rows[most >= self.near / (1 + self.near) * (self._sizes[rows] + len(own)) - ROUNDING].tolist()
        return found

    def _first(self, own: set[int]) -> list[int]:
        """Those that are in the index; two that are alike differ in fewer."""
        ordered = sorted(own - self._common) + sorted(own & self._common) if self._common else sorted(own)
        return ordered[: len(own) + 1 - ceil(self.near * len(own) - ROUNDING)]


class _Entries:
    """Pairs of a token and a row, each in one number."""

    def __init__(self) -> None:
        self._pairs = array("Q")

    def add(self, tokens: Iterable[int], row: int) -> None:
        self._pairs.extend([token << ROW_BITS | row for token in tokens])

    def index(self) -> "_Index":
        """Sorted in its own place: a copy would take as much memory again."""
        pairs = np.frombuffer(self._pairs, dtype=np.uint64)
        pairs.sort()
        return _Index(pairs)


class _Index:
    """The rows of a token."""

    def __init__(self, pairs: np.ndarray) -> None:
        self._pairs = pairs

    def rows(self, tokens: Sequence[int]) -> np.ndarray:
        """All rows of the tokens, a row as often as it has them."""
        asked_for = np.array(tokens, dtype=np.uint64) << np.uint64(ROW_BITS)
        starts = np.searchsorted(self._pairs, asked_for)
        ends = np.searchsorted(self._pairs, asked_for + np.uint64(1 << ROW_BITS))
        found = [self._pairs[start:end] for start, end in zip(starts, ends, strict=True)]
        return (np.concatenate(found) & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)


def _prompt_tokens(record: Record) -> list[int]:
    """Of all that a model learns to answer, last of the whole prompt."""
    return [int.from_bytes(key[: TOKEN_BITS // 8], "big") for key in prompt_keys(record)]


def _words(record: Record) -> set[int]:
    """Of the word trigrams of the prompt."""
    return {zlib.crc32(shingle.encode()) for shingle in shingles(asked(record))}


def _common(records: Sequence[Record]) -> set[int]:
    """The trigrams of a template, or of what is often asked: they stand last, since they tell few prompts apart."""
    some = records[:: max(1, len(records) // SAMPLE)]
    counts = Counter(token for record in some for token in _words(record))
    return {token for token, count in counts.items() if count > COMMON * len(some)}
