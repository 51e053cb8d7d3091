"""How well each response fits its prompt, beside the other responses of its source: low where responses were swapped.

In: embeddings of the prompts and of the responses of records. Out: a fit from 0 to 1 for each record. No model is tuned, and no
record has to be known as faulty.

A response is like its own prompt, as sentence embedders see it, but so is every response about the same subject: what is alike
within a source is taken off first. Then a linear map says what response a prompt asks for. It is learnt from the pool itself,
as it is: faults that are spread thin change it little. No prompt is judged by a map that was learnt from it. The likeness of
the response to what was asked for is compared with that of re-pairings: prompts with responses of other records of the source.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from shed.common.errors import ShedError

FOLDS = 5  # a prompt's map is learnt from the other four
RIDGE = 20.0  # how strongly the map is drawn to a multiple of the identity, in rows
LEAST_OF_SOURCE = 20  # records; smaller sources are compared with each other
REPAIRINGS = 50  # of each prompt, at most
AT_ONCE = 10_000  # rows; what is needed beside the vectors is made for so many of them


def prompt_fit(prompts: np.ndarray, responses: np.ndarray, sources: Sequence[str], seed: int) -> np.ndarray:
    """How many re-pairings of its source each record's own pair is above.

    The map is ridge regression of responses on prompts, drawn to the multiple of the identity that fits best: of few records
    the fit is the cosine, of many what the map has learnt.

    Args:
        prompts, responses: (N, D) float, rows of length 1, of the same embedder; they may be maps of files. Time grows with
            N · D²; memory is that of four arrays of N · D float64 at most.
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
    check_count(rows)
    if responses.shape != prompts.shape or len(sources) != rows:
        raise ShedError(
            f"prompts {prompts.shape}, responses {responses.shape} and {len(sources)} sources are not of the same records"
        )
    groups, rng = _groups(sources), np.random.default_rng(seed)
    asked, given = (_centred(vectors, groups) for vectors in (prompts, responses))
    _expect(asked, given, rng.permutation(rows) % FOLDS)
    likeness = np.einsum("nd,nd->n", asked, given)
    fits = np.empty(rows)
    for group in range(groups.max() + 1):
        own = rng.permutation(np.flatnonzero(groups == group))
        others = np.sort(np.concatenate([_repaired(asked, given, own, by) for by in _shifts(len(own), rng)]))
        below, up_to = (np.searchsorted(others, likeness[own], side) for side in ("left", "right"))
        fits[own] = (below + up_to) / (2 * len(others))
    return fits


def check_count(records: int) -> None:
    """Refuse records that are too few to be compared.

    Raises:
        ShedError: there are fewer than two.
    """
    if records < 2:
        raise ShedError(f"a response is compared with those of other records, and there are {records} records; give at least 2")


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
        own = np.flatnonzero(groups == group)
        mean = wide[own].mean(axis=0)
        for part in _parts(len(own)):
            wide[own[part]] -= mean
    _to_unit(wide)
    return wide


def _expect(asked: np.ndarray, given: np.ndarray, folds: np.ndarray) -> None:
    """Put unit rows in the place of those of `asked`: the response that each prompt asks for by the pairs of other folds."""
    maps = [_learnt(asked[folds != fold], given[folds != fold]) for fold in range(FOLDS)]
    for fold, (scale, rest) in enumerate(maps):
        prompts = asked[folds == fold]
        asked[folds == fold] = scale * prompts + prompts @ rest
    _to_unit(asked)


def _learnt(prompts: np.ndarray, responses: np.ndarray) -> tuple[float, np.ndarray]:
    """A multiple of the identity, and (D, D) what the map adds to it; the responses are written over."""
    scale = float(np.einsum("nd,nd->n", prompts, responses).mean())
    for part in _parts(len(prompts)):
        responses[part] -= scale * prompts[part]
    gram = prompts.T @ prompts + RIDGE * np.eye(prompts.shape[1])
    return scale, np.linalg.solve(gram, prompts.T @ responses)


def _shifts(size: int, rng: np.random.Generator) -> np.ndarray:
    """Which of the next records' responses each prompt is paired with, in a random order of the group."""
    return rng.permutation(np.arange(1, size))[:REPAIRINGS]


def _repaired(expected: np.ndarray, given: np.ndarray, own: np.ndarray, by: int) -> np.ndarray:
    """(n,) the likeness of each response to what the prompt asks for that stands so many places before."""
    other = np.roll(own, -by)
    return np.concatenate(
        [np.einsum("nd,nd->n", expected[own[part]], given[other[part]]) for part in _parts(len(own))], dtype=np.float64
    )


def _to_unit(vectors: np.ndarray) -> None:
    """Bring rows to length 1, in place; zero rows, of records that are all alike, stay."""
    for part in _parts(len(vectors)):
        lengths = np.linalg.norm(vectors[part], axis=1, keepdims=True)
        vectors[part] /= np.maximum(lengths, np.finfo(np.float64).tiny)


def _parts(rows: int) -> Iterator[slice]:
    return (slice(start, start + AT_ONCE) for start in range(0, rows, AT_ONCE))
