"""Scores without any tuning, which every valuation must beat: likeness to dev, and length.

In: records, dev records and their embeddings. Out: for each baseline a score for each record, higher is better.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from shed.data.records import Record

BLOCK_NUMBERS = 1 << 24  # of a block's rows × dev rows matrix: 64 MiB
Baseline = Literal["bm25", "cosine", "length"]


def baseline_scores(
    records: Sequence[Record], dev: Sequence[Record], embeddings: np.ndarray, dev_embeddings: np.ndarray
) -> dict[Baseline, np.ndarray]:
    """Score N records.

    Args:
        embeddings: (N, D) float32, unit rows; those of the records.
        dev_embeddings: (M, D), those of the dev records.

    Returns:
        `bm25`, the mean BM25 score over dev records as queries; `cosine`, the mean cosine to them; `length`, the response's
        in characters. Each (N,) float64.
    """
    return {
        "bm25": bm25(records, dev),
        "cosine": mean_cosine(embeddings, dev_embeddings),
        "length": np.array([float(len(record.response)) for record in records]),
    }


def mean_cosine(embeddings: np.ndarray, dev_embeddings: np.ndarray) -> np.ndarray:
    """(N,) float64, the mean cosine of each row to the dev rows; both are unit rows."""
    scores = np.empty(len(embeddings))
    each = max(1, BLOCK_NUMBERS // max(1, len(dev_embeddings)))
    for start in range(0, len(embeddings), each):
        scores[start : start + each] = (embeddings[start : start + each] @ dev_embeddings.T).mean(axis=1)
    return scores


def bm25(records: Sequence[Record], queries: Sequence[Record]) -> np.ndarray:
    """(N,) mean BM25 score of each record's text over the queries' texts."""
    from bm25s import BM25
    from bm25s.tokenization import tokenize

    index = BM25()
    index.index(tokenize([_text(record) for record in records], show_progress=False), show_progress=False)
    vocabulary = index.vocab_dict
    asked = tokenize([_text(query) for query in queries], return_ids=False, show_progress=False)
    known = [[token for token in tokens if token in vocabulary] for tokens in asked]
    asking = [tokens for tokens in known if tokens]
    total = np.zeros(len(records), dtype=np.float32)
    for tokens in asking:
        total += index.get_scores(tokens)
    return (total / np.float32(max(1, len(asking)))).astype(np.float64)


def importance(records: Sequence[Record], dev: Sequence[Record], buckets: int = 10_000) -> np.ndarray:
    """(N,) log importance weights of the records for looking like dev, by hashed words and pairs (DSIR, arXiv 2302.03169).

    A feature's log ratio is of its smoothed frequencies in dev and in the records; a record's weight is the mean over its
    features, so that length alone earns nothing.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(n_features=buckets, ngram_range=(1, 2), norm=None, alternate_sign=False)
    own, asked = (vectorizer.transform([_text(record) for record in group]) for group in (records, dev))
    source, target = (np.asarray(counts.sum(axis=0)).ravel() + 1.0 for counts in (own, asked))
    ratio = np.log(target / target.sum()) - np.log(source / source.sum())
    weights: np.ndarray = np.asarray(own @ ratio) / np.maximum(1.0, np.asarray(own.sum(axis=1)).ravel())
    return weights


def _text(record: Record) -> str:
    return f"{record.prompt}\n{record.response}"
