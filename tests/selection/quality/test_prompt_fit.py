"""A response that belongs to another prompt fits worse than other pairs do, and nobody has to say which records are wrong."""

import numpy as np
import pytest

from shed.common.errors import ShedError
from shed.selection.quality.prompt_fit import prompt_fit

ROWS, WIDTH = 600, 16


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.fixture
def prompts() -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(ROWS, WIDTH)))


@pytest.fixture
def responses(prompts: np.ndarray) -> np.ndarray:
    """What each prompt asks for is the prompt in other coordinates, so that its cosine to the prompt says nothing."""
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))
    return unit(prompts @ turn + 0.15 * rng.normal(size=(ROWS, WIDTH)))


def swapped(responses: np.ndarray, places: np.ndarray) -> np.ndarray:
    found = responses.copy()
    found[places] = responses[np.roll(places, 1)]
    return found


def test_swapped_responses_are_found_by_what_the_pool_itself_shows(prompts: np.ndarray, responses: np.ndarray) -> None:
    bad = np.arange(0, ROWS, 10)
    fits = prompt_fit(prompts, swapped(responses, bad), ["web"] * ROWS, seed=1)
    sound = np.delete(fits, bad)
    assert np.mean(sound[:, None] > fits[bad]) > 0.95
    assert (sound < 0.5).mean() < 0.02
    assert 0.3 < (fits[bad] < 0.5).mean() < 0.7  # a random pair is below as many re-pairings as it is above


def test_a_pool_of_random_pairs_has_fits_of_every_size(prompts: np.ndarray) -> None:
    fits = prompt_fit(prompts, unit(np.random.default_rng(2).normal(size=(ROWS, WIDTH))), ["web"] * ROWS, seed=1)
    assert np.quantile(fits, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.08)


def test_the_style_of_a_source_is_no_fault(prompts: np.ndarray, responses: np.ndarray) -> None:
    """One source answers in its own manner, which every response of it has and no other."""
    sources = ["web"] * (ROWS // 2) + ["forum"] * (ROWS // 2)
    styled = responses + 2 * np.eye(WIDTH)[0] * (np.array(sources) == "forum")[:, None]
    fits = prompt_fit(prompts, unit(styled), sources, seed=1)
    assert abs(np.median(fits[: ROWS // 2]) - np.median(fits[ROWS // 2 :])) < 0.02
    assert np.median(fits) > 0.95


def test_of_few_records_the_likeness_of_prompt_and_response_decides() -> None:
    prompts = np.eye(8)
    sound, swap = prompt_fit(prompts, prompts, ["web"] * 8, seed=1), prompts[[1, 0, 2, 3, 4, 5, 6, 7]]
    assert sound.tolist() == [1.0] * 8
    fits = prompt_fit(prompts, swap, ["web"] * 8, seed=1)
    assert max(fits[:2]) < min(fits[2:])


def test_sources_of_few_records_are_compared_with_each_other(prompts: np.ndarray, responses: np.ndarray) -> None:
    many = ["web"] * (ROWS - 30)
    apart = prompt_fit(prompts, responses, [*many, *(f"site {n}" for n in range(30))], seed=1)
    together = prompt_fit(prompts, responses, [*many, *["sites"] * 30], seed=1)
    np.testing.assert_array_equal(np.sort(apart), np.sort(together))
    alone = prompt_fit(prompts, responses, [*["web"] * (ROWS - 1), "site"], seed=1)
    np.testing.assert_array_equal(alone, prompt_fit(prompts, responses, ["web"] * ROWS, seed=1))


def test_the_same_seed_gives_the_same_fits_and_records_that_are_all_alike_are_in_the_middle(
    prompts: np.ndarray, responses: np.ndarray
) -> None:
    sources = ["web"] * ROWS
    np.testing.assert_array_equal(prompt_fit(prompts, responses, sources, 3), prompt_fit(prompts, responses, sources, 3))
    alike = np.repeat(prompts[:1], 30, axis=0)
    assert prompt_fit(alike, alike, ["web"] * 30, seed=1).tolist() == [0.5] * 30


def test_one_record_cannot_be_compared_and_parts_must_be_of_the_same_records(prompts: np.ndarray) -> None:
    with pytest.raises(ShedError, match="give at least 2"):
        prompt_fit(prompts[:1], prompts[:1], ["web"], seed=1)
    with pytest.raises(ShedError, match="not of the same records"):
        prompt_fit(prompts, prompts[1:], ["web"] * ROWS, seed=1)
    with pytest.raises(ShedError, match="not of the same records"):
        prompt_fit(prompts, prompts, ["web"], seed=1)
