"""Signals of a response that is not its prompt's: by embeddings, and by losses of the untuned model.

In: embeddings of prompts and responses, or losses of responses after their own prompts, after others and after none. Out: for
each signal (N,) float64, higher where prompt and response belong together. No signal knows which records are faulty.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from shed.selection.quality.prompt_fit import prompt_fit

RIDGE, FOLDS, NEIGHBOURS = 30.0, 5, 20


class Losses(NamedTuple):
    """What the untuned model makes of N records, in nats per response token.

    Attributes:
        own: (N,) of each response after its own prompt.
        end: (N,) nats of the end after it.
        alone: (N,) after no prompt.
        elsewhere: (N,) after prompts of other records of the source, their mean.
        gain_elsewhere: (N,) what those other prompts gain over none, mean of responses of other records after its prompt.
    """

    own: np.ndarray
    end: np.ndarray
    alone: np.ndarray
    elsewhere: np.ndarray
    gain_elsewhere: np.ndarray


def by_embeddings(prompts: np.ndarray, responses: np.ndarray, sources: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """Signals of (N, D) embeddings."""
    asked, given = (normalize(_less_source(vectors, sources)) for vectors in (prompts, responses))
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    mapped = cross_val_predict(Ridge(RIDGE, fit_intercept=False), asked, given, cv=folds)
    return {
        "cosine": _cosines(prompts, responses),
        "cosine within the source": _cosines(asked, given),
        "nearest prompts' responses": _cosines(_of_nearest(asked, given), given),
        "cross-fitted map": _cosines(mapped, given),
        "prompt fit": prompt_fit(prompts, responses, sources, seed),
    }


def by_losses(losses: Losses) -> dict[str, np.ndarray]:
    """Signals of losses."""
    gain = losses.alone - losses.own
    other_prompts = losses.elsewhere - losses.own
    other_responses = gain - losses.gain_elsewhere
    return {
        "perplexity, low": -losses.own,
        "IFD, low": -losses.own / losses.alone,
        "end expected": -losses.end,
        "loss without the prompt": gain,
        "loss after other prompts": other_prompts,
        "gains of other responses": other_responses,
        "both contrasts": other_prompts + other_responses,
    }


def together(*signals: np.ndarray) -> np.ndarray:
    """(N,) the mean of several signals' ranks."""
    return np.asarray(np.mean([rankdata(signal) for signal in signals], axis=0))


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = np.einsum("nd,nd->n", normalize(left), normalize(right))
    return cosines


def _less_source(vectors: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """(N, D) float64 rows less the mean of their source."""
    _, groups = np.unique(np.asarray(sources), return_inverse=True)
    found = vectors.astype(np.float64)
    for group in range(groups.max() + 1):
        found[groups == group] -= found[groups == group].mean(axis=0)
    return found


def _of_nearest(asked: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(N, D) the mean response of the prompts nearest to each."""
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(asked) - 1)).fit(asked).kneighbors(return_distance=False)
    means: np.ndarray = given[nearest].mean(axis=1)
    return means
