"""An order of rows in which each one is as far as can be from those before it (k-centre greedy, Gonzalez 1985).

In: (N, D) embeddings. Out: a score for each row, the higher the earlier it is taken, so that the best k rows cover all.
"""

import numpy as np

READ_AT_ONCE = 1 << 14  # rows


def k_centre(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """(N,) float64, −1 for the first row taken, −N for the last; the first one is drawn by `seed`.

    Memory is that of the rows and a block of them. Time grows with N²: a pass over all rows for each row that is taken.
    """
    n = len(embeddings)
    scores = np.empty(n)
    nearest = np.full(n, np.inf)
    row = int(np.random.default_rng(seed).integers(n))
    for place in range(n):
        scores[row] = -1.0 - place
        for start in range(0, n, READ_AT_ONCE):
            part = slice(start, start + READ_AT_ONCE)
            far = np.square(embeddings[part] - embeddings[row]).sum(axis=1, dtype=np.float64)
            np.minimum(nearest[part], far, out=nearest[part])
        nearest[row] = -np.inf
        row = int(np.argmax(nearest))
    return scores
