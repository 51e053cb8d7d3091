"""The screen before rating: which part of a large pool is rated at all.

In: texts of a pool, and ratings of some random ones. Out: which others promise a high rating.

A third of what may be rated is drawn at random. Of the others those are rated whose nearest neighbours among the drawn ones
have high ratings. Texts are near that share pieces of words (TF-IDF of 2 to 4 characters, in 64 dimensions by a truncated
singular value decomposition, as latent semantic analysis has it). A long response tends to have a rating of larger size, and a
selection goes by ratings or by ratings per response token, so that half of the promise is of either kind.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from shed.common.progress import track
from shed.data.records import Record

DRAWN = 1 / 3  # of what is rated, at random
DIMENSIONS, NEIGHBOURS = 64, 15
PIECES, FEW = (2, 4), 50  # characters; texts
CHARACTERS = 2000  # of a record, half of them of its end
LEARNED = 5000  # drawn records that the dimensions are learned on, at most
BLOCK = 2048  # records whose text is held at once


def counts(pool: int, share: float) -> tuple[int, int]:
    """How many records to draw, and how many to rate in all: at least two drawn ones, at most the pool."""
    rated = min(pool, max(2, round(share * pool)))
    return min(rated, max(2, round(DRAWN * rated))), rated


def drawn(pool: int, share: float, seed: int) -> np.ndarray:
    """(D,) int, sorted: the places of the records that are rated whatever they hold."""
    count, _ = counts(pool, share)
    return np.sort(np.random.default_rng((seed, 1)).permutation(pool)[:count])


def promising(
    pool: Sequence[Record], share: float, places: np.ndarray, ratings: np.ndarray, response_tokens: np.ndarray
) -> np.ndarray:
    """(M,) int, sorted: the places of the other records to rate, so that `share` of the pool is rated in all.

    Args:
        pool: N records, in memory or a `RecordFile`; it is read block by block.
        places: (D,) int, the records that were drawn.
        ratings: (D,) float64, finite, theirs.
        response_tokens: (D,) at least 1 each.
    """
    from sklearn.neighbors import KNeighborsRegressor

    _, rated = counts(len(pool), share)
    others = np.setdiff1d(np.arange(len(pool)), places)
    if rated >= len(pool):
        return others
    vectors = _vectors([text_of(pool[place]) for place in places[:: -(-len(places) // LEARNED)].tolist()])
    near = KNeighborsRegressor(min(NEIGHBOURS, len(places)), weights="distance")
    near.fit(_read(pool, places, vectors), np.stack([ratings, ratings / response_tokens], axis=1))
    found = np.concatenate(
        [
            near.predict(_read(pool, others[at : at + BLOCK], vectors))
            for at in track(range(0, len(others), BLOCK), "screening", "block")
        ]
    )
    best_rank = pd.DataFrame(-found).rank(method="first").min(axis=1).to_numpy()  # by either kind of rating
    return np.sort(others[np.argsort(best_rank, kind="stable")[: rated - len(places)]])


def text_of(record: Record) -> str:
    """A record's turns, one after the other; of a long one its beginning and its end."""
    text = "\n".join(turn.text for turn in record.messages)
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS // 2]}\n{text[-CHARACTERS // 2 :]}"


def _vectors(learned_on: Sequence[str]) -> Callable[[Sequence[str]], np.ndarray]:
    """What makes vectors of unit length (N, D) of texts; fewer dimensions where there are few texts or pieces."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    least = 2 if len(learned_on) > FEW else 1  # pieces of a single text say nothing of neighbours; of few texts most are such
    weights = TfidfVectorizer(analyzer="char_wb", ngram_range=PIECES, sublinear_tf=True, min_df=least)
    known = weights.fit_transform(learned_on)
    reduced = TruncatedSVD(max(1, min(DIMENSIONS, *(size - 1 for size in known.shape))), random_state=0).fit(known)

    def vectors(texts: Sequence[str]) -> np.ndarray:
        found: np.ndarray = normalize(reduced.transform(weights.transform(texts)))
        return found

    return vectors


def _read(pool: Sequence[Record], places: np.ndarray, vectors: Callable[[Sequence[str]], np.ndarray]) -> np.ndarray:
    blocks = (places[at : at + BLOCK].tolist() for at in range(0, len(places), BLOCK))
    return np.concatenate([vectors([text_of(pool[place]) for place in block]) for block in blocks]).astype(np.float32)
