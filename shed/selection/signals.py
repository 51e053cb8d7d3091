"""Signals of single records that need no tuning: what a selection by ratings or scores has to beat.

In: a pool and dev records, their embeddings, and what the untuned model makes of them. Out: for each signal its name and how to
compute it, so that each can be timed, or left out.
"""

from collections.abc import Callable, Sequence

import numpy as np

from shed.data.records import Record
from shed.embedding.embedder import embed
from shed.models.specs import EmbedderSpec
from shed.selection.baselines import bm25, importance, mean_cosine
from shed.selection.coverage import k_centre
from shed.selection.model_signals import ModelSignals, nearest_rank
from shed.selection.orders.distinct import distinct
from shed.selection.orders.round_robin import round_robin


def signals(
    pool: Sequence[Record],
    dev: Sequence[Record],
    embeddings: np.ndarray,
    embedder: EmbedderSpec,
    readings: Callable[[], tuple[ModelSignals, ModelSignals]],
    seed: int,
) -> dict[str, Callable[[], np.ndarray]]:
    """Signals of N records, each (N,) float64, higher is better.

    Args:
        embeddings: (N, D) float32 unit rows, the pool's.
        embedder: what made them, for dev.
        readings: gives the untuned model's, of the pool and of dev, which `rds`, `rds_round_robin` and `ifd` rest on.
        seed: where k-centre begins.

    Returns:
        `longest`, the response's length in characters; `bm25` and `importance`, see `shed.selection.baselines`; `cosine`, the
        mean cosine to dev; `k_centre`, see `shed.selection.coverage`; `distinct`, typical rows unlike each other, see
        `shed.selection.orders.distinct`; `rds`, the nearest to dev by hidden states (RDS+), and `rds_round_robin`, those that
        dev records take in turn, as RDS+'s authors do; `ifd`, instruction-following difficulty, those of 1 and above last, as
        its authors do.
    """

    def ifd() -> np.ndarray:
        found = readings()[0].ifd
        return np.where(found < 1, found, -found)

    return {
        "longest": lambda: np.array([float(len(record.response)) for record in pool]),
        "bm25": lambda: bm25(pool, dev),
        "importance": lambda: importance(pool, dev),
        "cosine": lambda: mean_cosine(embeddings, embed(dev, embedder).vectors),
        "k_centre": lambda: k_centre(embeddings, seed),
        "distinct": lambda: distinct(embeddings),
        "rds": lambda: nearest_rank(*(reading.states for reading in readings())),
        "rds_round_robin": lambda: round_robin(*(reading.states for reading in readings())),
        "ifd": ifd,
    }
