"""What params and the sizes of splits already say of a result: which splits have few records.

In: params, and the data card. Out: warnings.
"""

from collections.abc import Iterator, Mapping
from math import ceil, sqrt
from typing import Any

from shed.params import Params

Z = 1.96  # of an interval of 95 %
SMALL = 0.2  # standard deviations: the effect that Cohen (1988) calls small
MOST_SPREAD = 0.5  # the standard deviation of right and wrong answers, at most


def few(params: Params, card: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each split by which is measured whose intervals would be wider than a small effect.

    Of dev those records of tasks that count are meant which ratings read, or where the sampler goes by scores, which these
    read; of test those that are measured, a number of each source.
    """
    enough, limit = ceil((Z / SMALL) ** 2), params.evaluate.limit
    tasks = params.data.dev if isinstance(params.data.dev, dict) else {}
    dev, test = (card[split]["kept_by_source"] for split in ("dev", "test"))
    useful = sum(kept for source, kept in dev.items() if source not in tasks or tasks[source].weight)
    key, read = (
        ("rate.dev_rows", params.rate.dev_rows) if params.sampler == "top" else ("score.dev_rows", params.score.dev_rows)
    )
    of_dev = f" ({key} is {read}, and there are {useful:,})" if read is not None and read < useful else ""
    useful = useful if read is None else min(read, useful)
    measured = sum(kept if limit is None else min(kept, limit) for kept in test.values())
    cut = f" (evaluate.limit is {limit} of each source, and there are {card['test']['kept']:,})"
    for split, count, why in (("dev", useful, "what is useful is known by"), ("test", measured, "gains are measured on")):
        if 0 < count < enough:
            within = Z / sqrt(count)
            yield (
                f"{split}: {why} {count:,} {'record' if count == 1 else 'records'} alone; the 95 % interval of a mean over so "
                f"few is ± {within:.2f} standard deviations (of accuracy, up to ± {100 * within * MOST_SPREAD:.0f} percentage "
                f"points), so that a gain must be large to be significant; {enough} records give ± {SMALL:g}"
                f"{of_dev if split == 'dev' else cut if measured < card['test']['kept'] else ''}"
            )
