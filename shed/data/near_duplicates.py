"""Texts that share most of their words in order, found by MinHash and then compared exactly.

In: texts, one after the other. Out: for a text, the nearest of the earlier ones and their similarity.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from shed.data.duplicates import normalise
from shed.data.records import Record

HASHES, SEED = 128, 1
MISSED = 0.02  # the chance, at most, that a pair just at the threshold is not found; it falls fast above
WORDS = 3
FIRST_ROOM, NONE = 1024, -1
# Scripts without spaces between words, where a character counts as a word: Thai, Lao, Burmese, Khmer; Japanese, Chinese.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
SPACELESS_CHARACTER = re.compile(f"[{SPACELESS}]")
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
    own = normalise(text)
    spaced = own.isascii() or not SPACELESS_CHARACTER.search(own)
    units = own.split() if spaced else UNIT.findall(own)
    if len(units) < WORDS:
        return {" ".join(units)}
    return set(map(" ".join, zip(units, units[1:], units[2:], strict=False)))


def jaccard(one: set[str], other: set[str]) -> float:
    """Shared shingles over all shingles of the two."""
    return len(one & other) / len(one | other)


@dataclass(frozen=True)
class Sketch:
    """A text's shingles and their MinHash, (HASHES,) uint32."""

    shingles: set[str]
    minhash: np.ndarray


def sketch(text: str) -> Sketch:
    own, made = shingles(text), _minhash()
    made.clear()
    made.update_batch([shingle.encode() for shingle in own])
    return Sketch(own, made.hashvalues)


@dataclass(frozen=True)
class Near:
    """The nearest earlier text: how many were added before it, and the Jaccard similarity, from the threshold to 1."""

    place: int
    similarity: float


class NearIndex:
    """Texts to which later ones are compared, found by locality-sensitive hashing (Indyk and Motwani 1998): bands of MinHashes.

    Memory: 12 to 20 bytes a text for each band, of which a threshold of 0.8 has 18, less at higher ones; no texts. Signatures
    are datasketch's, whose own index takes about 9 kB a text, too much for a million.

    Args:
        threshold: the least Jaccard similarity of a hit, above 0 and at most 1.
        text_of: gives the text that was added after so many others.
    """

    def __init__(self, threshold: float, text_of: Callable[[int], str]) -> None:
        self.threshold, self._text_of = threshold, text_of
        self._bands, self._length = bands_of(threshold)
        rng = np.random.default_rng(SEED)
        self._factors = rng.integers(1 << 64, size=(self._bands, self._length), dtype=np.uint64)
        self._buckets = _Buckets(self._bands)
        self._latest: tuple[Sketch, np.ndarray] | None = None  # most texts are compared, and then added

    def nearest(self, own: Sketch) -> Near | None:
        """The most similar text among those added, the earliest of equal ones; None if none reaches the threshold."""
        best: Near | None = None
        for place in self._buckets.find(self._keys(own)):
            similarity = jaccard(own.shingles, shingles(self._text_of(place)))
            if similarity >= self.threshold and (best is None or similarity > best.similarity):
                best = Near(place, similarity)
        return best

    def add(self, own: Sketch) -> None:
        """Compare later texts to this one too."""
        self._buckets.add(self._keys(own))

    def _keys(self, own: Sketch) -> np.ndarray:
        """(bands,) uint32, one of each band: equal where the band's hashes are, and hardly ever else."""
        if self._latest is None or self._latest[0] is not own:
            hashes = own.minhash[: self._bands * self._length].reshape(self._bands, self._length)
            self._latest = own, ((hashes * self._factors).sum(axis=1) >> np.uint64(32)).astype(np.uint32)
        return self._latest[1]


class _Buckets:
    """Numbers 0, 1, 2, … by keys, of which each has as many as there are bands.

    A band's keys that end in the same bits are in one chain: the number that was added last, and from each the one before it.
    """

    def __init__(self, bands: int) -> None:
        self._every = np.arange(bands)
        self._count = 0
        self._keys = np.empty((FIRST_ROOM, bands), dtype=np.uint32)
        self._before = np.empty((FIRST_ROOM, bands), dtype=np.int32)
        self._last = np.full((FIRST_ROOM, bands), NONE, dtype=np.int32)

    def find(self, keys: np.ndarray) -> list[int]:
        """The numbers that have one of the keys in the same band, in ascending order."""
        found: set[int] = set()
        bands, at = self._every, self._last[self._slots(keys), self._every]
        while True:
            there = at >= 0
            if not there.any():
                return sorted(found)
            bands, at = bands[there], at[there]
            found.update(at[self._keys[at, bands] == keys[bands]].tolist())
            at = self._before[at, bands]

    def add(self, keys: np.ndarray) -> None:
        """Add the next number."""
        if self._count == len(self._keys):
            self._grow()
        slots = self._slots(keys)
        self._keys[self._count] = keys
        self._before[self._count] = self._last[slots, self._every]
        self._last[slots, self._every] = self._count
        self._count += 1

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        return keys & np.uint32(len(self._last) - 1)

    def _grow(self) -> None:
        """Twice the room, and chains that are half as long."""
        count, bands = self._keys.shape
        self._keys = np.concatenate([self._keys, np.empty_like(self._keys)])
        self._before, self._last = np.empty((0, bands), np.int32), np.empty((0, bands), np.int32)  # gone before others come
        self._before = np.empty((2 * count, bands), dtype=np.int32)
        self._last = np.full((2 * count, bands), NONE, dtype=np.int32)
        for band in self._every:
            slots = self._slots(self._keys[:count, band])
            order = np.argsort(slots, kind="stable")
            new = np.diff(slots[order], prepend=NONE) != 0
            self._before[order, band] = np.where(new, NONE, np.roll(order, 1))
            last = np.roll(new, -1)
            self._last[slots[order[last]], band] = order[last]


@cache
def _minhash() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=HASHES, seed=SEED, hashfunc=zlib.crc32)


def bands_of(threshold: float) -> tuple[int, int]:
    """Number and length of the bands: the longest with which a pair at the threshold is missed in `MISSED` of cases at most."""
    for length in range(HASHES // 2, 1, -1):
        bands = HASHES // length
        if (1 - threshold**length) ** bands <= MISSED:
            return bands, length
    return HASHES, 1
