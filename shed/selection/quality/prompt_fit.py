"""How well each response fits its prompt, beside the other responses of its source: low where responses were swapped.

In: records and an embedder, or embeddings of their prompts and of their responses. Out: a fit from 0 to 1 for each record. No
model is tuned, and no record has to be known as faulty.

A response is like its own prompt, as sentence embedders see it, but so is every response about the same subject: what is alike
within a source is taken off first. Then a linear map says what response a prompt asks for. It is learnt from the pool itself,
as it is: faults that are spread thin change it little. No prompt is judged by a map that was learnt from it. The likeness of
the response to what was asked for is compared with that of re-pairings: prompts with responses of other records of the source.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.embedding.embedder import embed
from shed.models.specs import EmbedderSpec

FOLDS = 5  # a prompt's map is learnt from the other four
RIDGE = 20.0  # how strongly the map is drawn to a multiple of the identity, in rows
LEAST_OF_SOURCE = 20  # records; smaller sources are compared with each other
REPAIRINGS = 50  # of each prompt, at most


def prompt_fit_of(records: Sequence[Record], embedder: EmbedderSpec, seed: int) -> np.ndarray:
    """(N,) float64, `prompt_fit` of records; the prompt is all that stands before the response.

    Raises:
        ShedError: there are fewer than two records, or the embedder cannot read them.
    """
    prompts, responses = (embed(records, replace(embedder, of=part)).vectors for part in ("prompt", "response"))
    return prompt_fit(prompts, responses, [record.source for record in records], seed)


def prompt_fit(prompts: np.ndarray, responses: np.ndarray, sources: Sequence[str], seed: int) -> np.ndarray:
    """How many re-pairings of its source each record's own pair is above.

    The map is ridge regression of responses on prompts, drawn to the multiple of the identity that fits best: of few records
    the fit is the cosine, of many what the map has learnt.

    Args:
        prompts, responses: (N, D) float, rows of length 1, of the same embedder. Time grows with N · D², memory with N · D.
        sources: of each record; one with fewer than 20 records is compared with other such ones.
        seed: of the folds and of the re-pairings.

    Raises:
        ShedError: there are fewer than two records, or not as many prompts, responses and sources.

    Returns:
        (N,) float64, the share of re-pairings with a lower likeness, equal ones by half. 1: no other response fits like this; a
        response that has nothing to do with its prompt is at any number with the same probability, so that about half of them
        are below 0.5.
    """
    rows = len(prompts)
    if rows < 2:
        raise ShedError(f"a response is compared with those of other records, and there are {rows} records; give at least 2")
    if responses.shape != prompts.shape or len(sources) != rows:
        raise ShedError(
            f"prompts {prompts.shape}, responses {responses.shape} and {len(sources)} sources are not of the same records"
        )
    groups, rng = _groups(sources), np.random.default_rng(seed)
    asked, given = (_centred(vectors, groups) for vectors in (prompts, responses))
    expected = _expected(asked, given, rng.permutation(rows) % FOLDS)
    likeness = np.einsum("nd,nd->n", expected, given)
    fits = np.empty(rows)
    for group in range(groups.max() + 1):
        own = rng.permutation(np.flatnonzero(groups == group))
        others = np.sort(np.concatenate([_repaired(expected, given, own, by) for by in _shifts(len(own), rng)]))
        below, up_to = (np.searchsorted(others, likeness[own], side) for side in ("left", "right"))
        fits[own] = (below + up_to) / (2 * len(others))
    return fits


def _groups(sources: Sequence[str]) -> np.ndarray:
    """(N,) the group of each record: its source, or that of small sources; if they are few, they join the largest."""
    _, of, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    small = counts < LEAST_OF_SOURCE
    home = int(np.argmax(counts)) if counts[small].sum() < LEAST_OF_SOURCE else int(np.argmax(small))
    _, groups = np.unique(np.where(small[of], home, of), return_inverse=True)
    return np.asarray(groups)


def _centred(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N, D) float64 what tells each row from the others of its group, at length 1."""
    wide = vectors.astype(np.float64)
    for group in range(groups.max() + 1):
        wide[groups == group] -= wide[groups == group].mean(axis=0)
    return _unit(wide)


def _expected(asked: np.ndarray, given: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(N, D) unit rows, the response that each prompt asks for by the pairs of other folds."""
    found = np.empty_like(asked)
    for fold in range(FOLDS):
        learnt, judged = folds != fold, folds == fold
        scale = float(np.einsum("nd,nd->n", asked[learnt], given[learnt]).mean())
        gram = asked[learnt].T @ asked[learnt] + RIDGE * np.eye(asked.shape[1])
        rest = np.linalg.solve(gram, asked[learnt].T @ (given[learnt] - scale * asked[learnt]))
        found[judged] = scale * asked[judged] + asked[judged] @ rest
    return _unit(found)


def _shifts(size: int, rng: np.random.Generator) -> np.ndarray:
    """Which of the next records' responses each prompt is paired with, in a random order of the group."""
    return rng.permutation(np.arange(1, size))[:REPAIRINGS]


def _repaired(expected: np.ndarray, given: np.ndarray, own: np.ndarray, by: int) -> np.ndarray:
    """(n,) the likeness of each response to what the prompt asks for that stands so many places before."""
    likeness: np.ndarray = np.einsum("nd,nd->n", expected[own], given[np.roll(own, -by)])
    return likeness


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows at length 1; zero rows, of records that are all alike, stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return unit
