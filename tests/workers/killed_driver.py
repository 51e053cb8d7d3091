"""A driver of a Ray cluster that rates a pool and is killed when it has kept three blocks: FOLDER RECORDS MODEL ADDRESS."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tiny_regime import REGIME

from shed.data.records import Record, read_records
from shed.models.specs import ModelSpec
from shed.valuation import ratings
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import Ratings, rate
from shed.workers.ray_engine import RayEngine

POOL, KEPT = 9, 3  # records to rate, each a block of its own; blocks that are kept before the end


def rated(folder: Path, records: list[Record], model: str, address: str | None) -> Ratings:
    """The ratings of a pool by a cluster, or in this process, in blocks of `ratings.BLOCK`."""
    engine = RayEngine(address) if address else None
    spec = ModelSpec(model, "plain", 200)
    return rate(records[:POOL], records[POOL:], spec, None, REGIME, 6, RatedBlocks(folder, {}), engine=engine)


def killed_at_the_third() -> None:
    """From now on this process ends as the third block is kept."""
    keep, kept = RatedBlocks.keep_block, []

    def told(own: RatedBlocks, block: Sequence[Record], rows: pd.DataFrame) -> None:
        keep(own, block, rows)
        kept.append(block)
        if len(kept) == KEPT:
            os.kill(os.getpid(), signal.SIGKILL)

    RatedBlocks.keep_block = told


if __name__ == "__main__":
    folder, file, model, address = sys.argv[1:]
    torch.set_num_threads(1)
    ratings.BLOCK = 1
    killed_at_the_third()
    rated(Path(folder), read_records(file), model, address)
