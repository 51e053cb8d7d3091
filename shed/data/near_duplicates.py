"""Texts that share most of their words in order, found by MinHash and then compared exactly.

In: texts with names, one after the other. Out: for a text, the nearest of the earlier ones and their similarity.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from shed.data.duplicates import normalise
from shed.data.records import Record

HASHES, SEED = 128, 1
MISSED = 0.02  # the chance, at most, that a pair just at the threshold is not found; it falls fast above
WORDS = 3
# Scripts without spaces between words, where a character counts as a word: Thai, Lao, Burmese, Khmer; Japanese, Chinese.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
UNIT = re.compile(rf"[{SPACELESS}]|[^\s{SPACELESS}]+")


def said(record: Record) -> str:
    """All turns but the system's, which many unrelated records share."""
    return "\n".join(turn.text for turn in record.messages if turn.role != "system") or record.prompt


def asked(record: Record) -> str:
    """The turns before the response, but the system's where there are others."""
    return "\n".join(turn.text for turn in record.messages[:-1] if turn.role != "system") or record.prompt


def shingles(text: str) -> set[str]:
    """Each three words in a row of the normalised text, signs included; a text of fewer words is one shingle, the whole.

    A Chinese, Japanese or Thai character is a word by itself, so that such a text gives its character trigrams.
    """
    units = UNIT.findall(normalise(text))
    return {" ".join(units[n : n + WORDS]) for n in range(max(1, len(units) - WORDS + 1))}


def jaccard(one: set[str], other: set[str]) -> float:
    """Shared shingles over all shingles of the two."""
    return len(one & other) / len(one | other)


@dataclass(frozen=True)
class Sketch:
    """A text's shingles and their MinHash."""

    shingles: set[str]
    minhash: Any


def sketch(text: str) -> Sketch:
    own = shingles(text)
    made = _empty_minhash().copy()
    made.update_batch([shingle.encode() for shingle in own])
    return Sketch(own, made)


@dataclass(frozen=True)
class Near:
    """The nearest earlier text: what it is called, and the Jaccard similarity, from the threshold to 1."""

    of: str
    similarity: float


class NearIndex:
    """Texts to which later ones are compared.

    Memory: about 9 kB a text at a threshold of 0.8, less at higher ones; the texts themselves stand in the records.

    Args:
        threshold: the least Jaccard similarity of a hit, above 0 and at most 1.
        part: the text of a record that is compared.
    """

    def __init__(self, threshold: float, part: Callable[[Record], str]) -> None:
        from datasketch import MinHashLSH

        self.threshold, self.part = threshold, part
        self._lsh = MinHashLSH(num_perm=HASHES, params=_bands(threshold))
        self._entries: list[tuple[str, Record | str]] = []

    def nearest(self, own: Sketch) -> Near | None:
        """The most similar text among those added, the earliest of equal ones; None if none reaches the threshold."""
        best: Near | None = None
        for place in sorted(self._lsh.query(own.minhash)):
            name, other = self._entries[place]
            similarity = jaccard(own.shingles, shingles(other if isinstance(other, str) else self.part(other)))
            if similarity >= self.threshold and (best is None or similarity > best.similarity):
                best = Near(name, similarity)
        return best

    def add(self, name: str, one: Record | str, own: Sketch) -> None:
        """Compare later texts to this one too.

        Args:
            name: what a hit is called by.
            one: the text, or the record of which it is a part.
            own: the text's sketch.
        """
        self._lsh.insert(len(self._entries), own.minhash, check_duplication=False)
        self._entries.append((name, one))


@cache
def _empty_minhash() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=HASHES, seed=SEED, hashfunc=zlib.crc32)


def _bands(threshold: float) -> tuple[int, int]:
    """Number and length of the bands: the longest with which a pair at the threshold is missed in `MISSED` of cases at most."""
    for length in range(HASHES // 2, 1, -1):
        bands = HASHES // length
        if (1 - threshold**length) ** bands <= MISSED:
            return bands, length
    return HASHES, 1
