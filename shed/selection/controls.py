"""The rows that a selection is compared with: random ones, as many, or with as many response tokens.

In: the pool's records and a selection. Out: for each seed the rows of a control.

Both controls of a seed take rows of the whole pool in one random order, so that they are the same rows where the selection's
responses are as long as the pool's. Some of them are the selection's own: a share of the pool as large as the selection's.
"""

from collections.abc import Callable, Sequence

import numpy as np

from shed.data.records import Record


def random_rows(pool: Sequence[Record], rows: int, seed: int) -> list[Record]:
    """As many rows, drawn as the sampler `random` draws them under this seed."""
    return [pool[place] for place in np.random.default_rng(seed).permutation(len(pool))[:rows]]


def random_tokens(pool: Sequence[Record], tokens: int, seed: int, tokens_of: Callable[[Record], int]) -> list[Record]:
    """Rows in the order of `random_rows` until they have as many response tokens.

    Args:
        tokens: how many; the last row is taken if the sum is nearer to it with the row than without. At least one row is taken.
        tokens_of: response tokens of a record.
    """
    taken: list[Record] = []
    total = 0
    for place in np.random.default_rng(seed).permutation(len(pool)):
        own = tokens_of(pool[place])
        if taken and total + own - tokens > tokens - total:
            break
        taken.append(pool[place])
        total += own
        if total >= tokens:
            break
    return taken
