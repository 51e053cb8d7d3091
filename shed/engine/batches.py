"""Which records are read together: the batches of a tuning, and the microbatches that go through the layers at once.

In: lengths in tokens. Out: batches of indices, and `Microbatch`es.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Microbatch(NamedTuple):
    """B records that go through the layers together, each under the LoRA weights of a coalition.

    Attributes:
        coalitions: (C,) the coalitions that have a record here.
        rows: (B,) for each record the place of its coalition among them.
        records: (B,) the records.
    """

    coalitions: np.ndarray
    rows: np.ndarray
    records: np.ndarray

    def halves(self) -> "list[Microbatch]":
        """The first half of its records, and the second."""
        middle = len(self.records) // 2
        of = self.coalitions[self.rows]
        runs = [run for run in (slice(middle), slice(middle, None)) if len(self.records[run])]
        return [Microbatch(*np.unique(of[run], return_inverse=True), self.records[run]) for run in runs]


def halves(batch: list[int]) -> list[list[int]]:
    """The first half of some indices, and the second."""
    middle = len(batch) // 2
    return [part for part in (batch[:middle], batch[middle:]) if part]


class DevPart(NamedTuple):
    """Dev records that are measured together, all of one sum of `DevSet.by_task`, under the LoRA weights of one row."""

    row: int
    task: int
    records: list[int]

    def halves(self) -> "list[DevPart]":
        """The first half of its records, and the second."""
        return [self._replace(records=part) for part in halves(self.records)]


def length_batches(lengths: Sequence[int], batch_size: int, epochs: int, seed: int) -> list[list[int]]:
    """Batches of similar length, each index once an epoch; ties and the order of batches are drawn anew each epoch."""
    rng = random.Random(seed)
    batches: list[list[int]] = []
    for _ in range(epochs):
        order = sorted(range(len(lengths)), key=lambda i: (lengths[i], rng.random()))
        epoch = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        rng.shuffle(epoch)
        batches += epoch
    return batches


def split(batches: Sequence[list[int]], lengths: Sequence[int], most: int) -> list[list[int]]:
    """The batches, in parts of at most `most` tokens with padding, or of a single index."""
    parts: list[list[int]] = []
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        size = max(1, min(len(batch), most // longest))
        parts += [batch[at : at + size] for at in range(0, len(batch), size)]
    return parts
