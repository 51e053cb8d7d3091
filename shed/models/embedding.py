"""Sentence embeddings of records.

In: records and an embedder's name. Out: (N, D) float32 unit rows, in the records' order.
"""

import sys
from collections.abc import Sequence

import numpy as np

from shed.data.records import Record
from shed.models.loading import load_embedder


def embed(records: Sequence[Record], model: str, batch_size: int) -> np.ndarray:
    """Embed prompt and response together; sentence-transformers sorts texts by length, so batches hold little padding.

    Returns:
        (N, D) float32; every row has length 1.
    """
    texts = [f"{record.prompt}\n{record.response}" for record in records]
    embedder = load_embedder(model)
    rows = embedder.encode(
        texts,
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=sys.stderr.isatty(),
    )
    return np.asarray(rows, dtype=np.float32)
