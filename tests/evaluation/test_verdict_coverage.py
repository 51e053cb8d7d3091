"""What is promised of the verdict holds in simulations: its interval contains the true gain, and chance is seldom called better."""

from pathlib import Path

import pytest

from benchmarks.verdict_coverage import DRAWS, RESULTS, SEEDS, Case, cases, simulate, simulate_draw
from shed.common.atomic_io import read_json

BETTER, COVERED = 0.03, (0.93, 0.97)


def test_in_every_case_of_the_committed_result_chance_is_called_better_in_3_of_100_at_most(project_root: Path) -> None:
    found = read_json(project_root / RESULTS)
    assert set(found["cases"]) == {case.name for case in cases()}
    assert found["repetitions"] >= 4000
    for name, case in found["cases"].items():
        assert case["better"] <= BETTER, name
        assert case["coverage"] >= COVERED[0], name


def test_intervals_are_too_long_only_where_most_is_due_to_single_items_under_single_seeds(project_root: Path) -> None:
    for case in cases():
        covered = read_json(project_root / RESULTS)["cases"][case.name]["coverage"]
        assert covered <= COVERED[1] or case.shares == "single results", case.name


def test_a_selection_drawn_at_random_is_hardly_ever_called_better_though_its_interval_may_be_above_0(
    project_root: Path,
) -> None:
    found = read_json(project_root / RESULTS)["random_selections"]
    for name in DRAWS:
        for seeds in SEEDS:
            own = found[name][str(seeds)]
            assert COVERED[0] <= own["coverage"] <= COVERED[1]
            assert own["above"] > BETTER  # its rows are by chance better than the mean of all draws
            assert own["better"] <= BETTER


@pytest.mark.parametrize(
    "case",
    [
        Case("normal", 3, 1, 80, "mostly seeds"),
        Case("tokens", 3, 4, 80, "mostly seeds"),
        Case("accuracy", 5, 1, 80, "items and seeds"),
    ],
)
def test_a_small_simulation_says_the_same_as_the_committed_one(case: Case, project_root: Path) -> None:
    kept, found = read_json(project_root / RESULTS)["cases"][case.name], simulate(case, 2000, seed=1000)
    for what in ("coverage", "better"):
        assert abs(found[what] - kept[what]) < 3.5 * (found[f"{what}_error"] ** 2 + kept[f"{what}_error"] ** 2) ** 0.5
    assert found["reach"] == pytest.approx(kept["reach"], rel=0.1)


def test_a_small_simulation_of_random_draws_says_the_same_as_the_committed_one(project_root: Path) -> None:
    name = "as in the comparison"
    kept, found = (
        read_json(project_root / RESULTS)["random_selections"][name]["5"],
        simulate_draw(5, *DRAWS[name], 2000, seed=7),
    )
    assert found["above"] == pytest.approx(kept["above"], abs=0.03)
    assert found["better"] == pytest.approx(kept["better"], abs=0.015)
