"""Cores: independent parts of a computation, each on a core of its own.

In: a function and its parts. Out: what it gives for each. A product of few rows is too small to be shared out among cores:
on two of them, two products of 100 rows at once take less time than one after the other, each on both.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


class Cores:
    """The cores that torch may use here; a GPU counts as one.

    Attributes:
        count: how many parts run at once.
    """

    def __init__(self, device: torch.device) -> None:
        self.count = torch.get_num_threads() if device.type == "cpu" else 1
        self._threads = ThreadPoolExecutor(self.count)

    def each(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The function's results in the order of the parts, which are begun in it: put the longest first.

        A single part has all cores. The function must not rely on torch's modes of the calling thread (`no_grad`), which
        others do not see.
        """
        parts = list(parts)
        if self.count == 1 or len(parts) == 1:
            yield from map(function, parts)
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from self._threads.map(function, parts)
        finally:
            torch.set_num_threads(threads)

    def map(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """All that `each` gives."""
        return list(self.each(function, parts))

    def share(self, sequences: Sequence[int], lengths: np.ndarray, most: int | None = None) -> list[list[int]]:
        """Groups of similar length, the longest first: one for each core if there are enough, more if `most` asks for it.

        Args:
            sequences: which ones; their lengths are looked up in `lengths`.
            most: tokens, padding among them, that a group may have, if it is of more than one sequence.
        """
        order = sorted(sequences, key=lambda i: -int(lengths[i]))
        groups = [order] if most is None else _filled(order, lengths, most)
        while order and len(groups) < min(self.count, len(order)):
            largest = max(range(len(groups)), key=lambda n: len(groups[n]))
            middle = len(groups[largest]) // 2
            groups[largest : largest + 1] = [groups[largest][:middle], groups[largest][middle:]]
        return groups if order else []


def _filled(order: Sequence[int], lengths: np.ndarray, most: int) -> list[list[int]]:
    """Groups in this order, the longest first, each with as many sequences as `most` tokens hold."""
    groups: list[list[int]] = []
    for i in order:
        if not groups or (len(groups[-1]) + 1) * int(lengths[groups[-1][0]]) > most:
            groups.append([])
        groups[-1].append(i)
    return groups
