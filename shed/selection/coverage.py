"""An order of rows in which each one is as far as can be from those before it (k-centre greedy, Gonzalez 1985).

In: (N, D) embeddings. Out: a score for each row, the higher the earlier it is taken, so that the best k rows cover all.
"""

import numpy as np


def k_centre(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """(N,) float64, −1 for the first row taken, −N for the last; the first one is drawn by `seed`."""
    n = len(embeddings)
    scores = np.empty(n)
    nearest = np.full(n, np.inf)
    row = int(np.random.default_rng(seed).integers(n))
    for place in range(n):
        scores[row] = -1.0 - place
        nearest = np.minimum(nearest, np.square(embeddings - embeddings[row]).sum(axis=1, dtype=np.float64))
        nearest[row] = -np.inf
        row = int(np.argmax(nearest))
    return scores
