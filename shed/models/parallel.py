"""Independent parts of a computation, each on a core of its own.

In: a function and its parts. Out: what it gives for each. A product of few rows is too small to be shared out among cores:
on two of them, two products of 100 rows at once take less time than one after the other, each on both.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from shed.common.errors import ShedError
from shed.common.memory import give_back, resident

Part = TypeVar("Part")
Result = TypeVar("Result")


TIDY_EVERY = 4  # parts
KEPT_BYTES = 2**29  # that parts may leave behind: to give memory back and take it again costs time
CHUNK_TOKENS, CHUNK_TOKENS_OF_GPU = 256, 8192


def threads_used() -> int:
    """By how many threads work is cut up, which decides the last digits of numbers: torch's; 1 where a GPU does the work."""
    return 1 if torch.cuda.is_available() else torch.get_num_threads()


class Cores:
    """The cores that torch may use here; a GPU counts as one.

    Attributes:
        count: how many parts run at once.
        chunk_tokens: how many tokens one part should have at most, for products to be fast and memory small.
    """

    def __init__(self, device: torch.device) -> None:
        self.count = torch.get_num_threads() if device.type == "cpu" else 1
        self.chunk_tokens = CHUNK_TOKENS if device.type == "cpu" else CHUNK_TOKENS_OF_GPU
        self._threads = ThreadPoolExecutor(self.count)
        self._done, self._tidy = 0, resident()  # parts; bytes of the process, when memory was last given back or since

    def each(
        self,
        function: Callable[[Part], Result],
        parts: Iterable[Part],
        halves: Callable[[Part], Sequence[Part]] | None = None,
    ) -> Iterator[Result]:
        """The function's results in the order of the parts, which are begun in it: put long parts before short ones.

        A single part has all cores. The function must not rely on torch's modes of the calling thread (`no_grad`), which
        others do not see.

        Args:
            halves: cuts a part for which the device has not enough memory; its results are then those of what it was cut into,
                and later parts should have half as many tokens (`chunk_tokens`).

        Raises:
            ShedError: there is not enough memory, and the part is not to be cut.
        """
        parts = list(parts)

        def fitting(part: Part) -> list[Result]:
            return self._fitting(function, part, halves)

        if self.count == 1 or len(parts) == 1:
            for results in self._tidied(map(fitting, parts)):
                yield from results
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for results in self._tidied(self._threads.map(fitting, parts)):
                yield from results
        finally:
            torch.set_num_threads(threads)

    def _fitting(
        self, function: Callable[[Part], Result], part: Part, halves: Callable[[Part], Sequence[Part]] | None
    ) -> list[Result]:
        try:
            return [function(part)]
        except torch.OutOfMemoryError:
            smaller = halves(part) if halves else []
            if len(smaller) < 2:
                raise ShedError(
                    "the device has not enough memory for a single record; lower the context length, tune fewer layers or "
                    "modules, or take a smaller model",
                    "context length",
                ) from None
        torch.cuda.empty_cache()
        self.chunk_tokens = max(1, self.chunk_tokens // 2)
        return [result for half in smaller for result in self._fitting(function, half, halves)]

    def _tidied(self, results: Iterable[Result]) -> Iterator[Result]:
        """The results; every few of them what parts have left behind is given back, if it is much."""
        for result in results:
            self._done += 1
            if self._done % TIDY_EVERY == 0:
                self._tidy = min(self._tidy, resident())
                if resident() >= self._tidy + KEPT_BYTES:
                    give_back()
                    self._tidy = resident()
            yield result

    def map(
        self,
        function: Callable[[Part], Result],
        parts: Iterable[Part],
        halves: Callable[[Part], Sequence[Part]] | None = None,
    ) -> list[Result]:
        """All that `each` gives."""
        return list(self.each(function, parts, halves))

    def share(self, sequences: Sequence[int], lengths: np.ndarray, most: int | None = None) -> list[list[int]]:
        """Runs of sequences, in their order, of about as many tokens each: at most one for each core, or a multiple of that.

        Args:
            sequences: which ones; their lengths are looked up in `lengths`. Neighbours should be of similar length.
            most: tokens that a run should not have many more of, unless it is of one sequence; None: no such limit.
        """
        if not len(sequences):
            return []
        tokens = lengths[list(sequences)]
        runs = self.count if most is None else self.count * math.ceil(tokens.sum() / (self.count * most))
        middles = tokens.cumsum() - tokens / 2
        firsts = np.searchsorted(middles, tokens.sum() * np.arange(1, runs) / runs)
        return [run.tolist() for run in np.split(np.asarray(sequences), firsts) if len(run)]
