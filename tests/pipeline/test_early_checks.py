"""What a later stage would refuse is refused before any stage is paid for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shed.common.errors import ShedError
from shed.data.records import single_turn
from shed.models.encoding import Encoder
from shed.models.loading import load_tokenizer
from shed.models.record_lengths import record_lengths
from shed.params import Params, load_params
from stages.shared.early_checks import (
    check_audit,
    check_dev_tasks,
    check_score_budget,
    check_selection,
    check_utilities,
)

POOL = [single_turn(f"Add {n} and 1.", f"It is {n + 1}.", "sums", f"row {n}") for n in range(5)]
POOL.append(single_turn("Count.", "one two three " * 100, "sums", "row 5"))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load_tokenizer("packaged/smollm2-135m-instruct", None), "plain", 64, 8192)


def params_of(project_root: Path, sampler: str = "top", C: int = 2, **sample: Any) -> Params:
    params = load_params(project_root / "params.yaml")
    own = params.sample.model_copy(update={"fraction": None, "rows": None, "tokens": None} | sample)
    return params.model_copy(update={"C": C, "sampler": sampler, "sample": own})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"C": 7, "rows": 1}, "the pool has 6 records, and C is 7; lower C, or give more records"),
        ({"rows": 7}, "7 rows are to be kept, but the pool has 5"),  # one is longer than the context
        ({"rows": 7, "too_long": True}, "7 rows are to be kept, but the pool has 6"),
        ({"fraction": 0.01}, "a fraction of 0.01 of 5 rows gives none"),
        ({"budget": "tokens", "tokens": 900}, "900 response tokens are to be kept, but the pool has "),
    ],
)
def test_a_pool_that_is_too_small(project_root: Path, encoder: Encoder, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ShedError, match=said):
        check_selection(params_of(project_root, **changes), POOL, record_lengths(encoder, POOL))


@pytest.mark.parametrize("clusters", [2, 3])
def test_clusters_of_which_there_are_too_few_halves_to_audit_scores(clusters: int) -> None:
    said = f"^C is {clusters}, and `fidelity` needs at least 4 different halves of the clusters; raise C to 4 or more"
    with pytest.raises(ShedError, match=said):
        check_audit(clusters)
    check_audit(4)


def test_a_screen_that_rates_fewer_rows_than_top_is_to_take(project_root: Path, encoder: Encoder) -> None:
    params, lengths = params_of(project_root, rows=4), record_lengths(encoder, POOL)
    screened = params.model_copy(update={"rate": params.rate.model_copy(update={"screen": 0.5})})
    with pytest.raises(ShedError, match="4 rows are to be taken by their ratings, but 3 of 6 will be rated") as error:
        check_selection(screened, POOL, lengths)
    assert error.value.setting == "screen"
    check_selection(screened.model_copy(update={"sampler": "qocs"}), POOL, lengths)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (
            {"balance": "length", "floor": 1.0, "rows": 1},
            "a floor of 1 of 1 rows is less than one row for each of 2 quarters by",
        ),
        ({"balance": "source", "floor": 0.2, "rows": 4}, "a floor of 0.2 of 4 rows is less than one row for each of 1 sources"),
        (
            {"balance": "source_and_length", "floor": 0.5, "rows": 3},
            "0.5 of 3 rows is less than one row for each of 2 quarters by",
        ),
        (
            {"balance": "length", "floor": 1.0, "budget": "tokens", "tokens": 6},
            "a floor of 1 of 6 response tokens is less than one row for each of 2 quarters",
        ),
    ],
)
def test_parts_of_the_budget_of_less_than_a_row(
    project_root: Path, encoder: Encoder, sample: dict[str, Any], said: str
) -> None:
    """Answers of one and of two digits have two lengths."""
    pool = [single_turn(f"Add {n} and {n}.", "two " * (1 + n % 2), "sums", f"row {n}") for n in range(8)]
    lengths = record_lengths(encoder, pool)
    with pytest.raises(ShedError, match=said) as error:
        check_selection(params_of(project_root, **sample), pool, lengths)
    assert error.value.setting == "floor"
    check_selection(params_of(project_root, **{**sample, "balance": "none"}), pool, lengths)
    check_selection(params_of(project_root, sampler="full", **sample), pool, lengths)
    check_selection(params_of(project_root, balance="cluster", floor=0.1, rows=1), pool, lengths)  # not known yet


def test_a_pool_that_is_large_enough_passes(project_root: Path, encoder: Encoder) -> None:
    for sample in ({"rows": 5}, {"rows": 6, "too_long": True}, {"fraction": 1.0}, {"budget": "tokens", "fraction": 0.5}):
        check_selection(params_of(project_root, **sample), POOL, record_lengths(encoder, POOL))
    check_selection(params_of(project_root, sampler="full", fraction=0.01), POOL, record_lengths(encoder, POOL))


@pytest.mark.parametrize(
    ("lines", "sample", "said"),
    [
        (["nobody"], {"rows": 1}, r"none of its 1 ids is in the pool"),
        (
            [POOL[0].id, POOL[5].id],
            {"rows": 2},
            r"not to be selected: 1\), and 2 rows are to be kept; keep at most 1 rows",
        ),
        ([POOL[0].id], {"budget": "tokens", "tokens": 20}, r"and 20 response tokens are to be kept; keep at most \d+ response"),
        ([f"{record.id},nan" for record in POOL], {"rows": 1}, "NaN|nan"),
    ],
)
def test_a_given_selection_that_does_not_fit_the_pool(
    project_root: Path, tmp_path: Path, encoder: Encoder, lines: list[str], sample: dict[str, Any], said: str
) -> None:
    head = ["id,score"] if "," in lines[0] else []
    path = tmp_path / ("peer.csv" if head else "peer.txt")
    path.write_text("\n".join([*head, *lines]) + "\n")
    with pytest.raises(ShedError, match=said):
        check_selection(
            params_of(project_root, sampler="given", given=str(path), **sample), POOL, record_lengths(encoder, POOL)
        )


def test_a_given_selection_that_fits_is_told(
    project_root: Path, tmp_path: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "peer.txt"
    path.write_text(f"{POOL[0].id}\n{POOL[1].id}\n")
    check_selection(params_of(project_root, sampler="given", given=str(path), rows=2), POOL, record_lengths(encoder, POOL))
    assert "2 ids; matched with the pool: 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "changes", "key"),
    [
        ("rate", {"utility": "choice_loss"}, "rate.utility is choice_loss"),
        ("score", {"utility": "accuracy"}, "score.utility is accuracy"),
        ("fidelity", {"target_utility": "choice_loss"}, "fidelity.target_utility is choice_loss"),
    ],
)
def test_a_utility_over_options_needs_dev_records_that_have_some(
    project_root: Path, section: str, changes: dict[str, Any], key: str
) -> None:
    params = load_params(project_root / "params.yaml")
    asking = params.model_copy(update={section: getattr(params, section).model_copy(update=changes)})
    with pytest.raises(
        ShedError, match=rf"^{key}, but 6 of the 6 dev records that it is measured on have no options, the first"
    ):
        check_utilities(asking, POOL)
    with_options = [replace(record, choices=("one", "two"), answer=0) for record in POOL]
    check_utilities(asking, with_options)
    check_utilities(params, POOL)


def test_what_is_turned_off_needs_no_options(project_root: Path) -> None:
    params = load_params(project_root / "params.yaml")
    rate = params.rate.model_copy(update={"utility": "choice_loss", "warm_rows": 0})
    fidelity = params.fidelity.model_copy(update={"target_utility": "accuracy", "target_coalitions": None})
    check_utilities(params.model_copy(update={"rate": rate, "fidelity": fidelity}), POOL)


@pytest.mark.parametrize("section", ["rate", "score"])
def test_each_dev_task_that_counts_is_measured(project_root: Path, section: str) -> None:
    params = load_params(project_root / "params.yaml")
    dev = [single_turn(f"q{n}", "a", "rare" if n == 20 else "common", f"row {n}") for n in range(60)]

    def with_rows(rows: int | None) -> Params:
        own = getattr(params, section).model_copy(update={"dev_rows": rows})
        return params.model_copy(update={section: own})

    for rows in (21, None):
        check_dev_tasks(with_rows(rows), dev, {"common": 0.5, "rare": 0.5})
    with pytest.raises(
        ShedError, match=rf"^{section}\.dev_rows is 20, but the dev task rare has none of the first 20 dev records"
    ):
        check_dev_tasks(with_rows(20), dev, {"common": 0.5, "rare": 0.5})
    for one in ({"common": 1.0, "rare": 0.0}, {}):
        check_dev_tasks(with_rows(20), dev, one)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"fte": 8.9}, r"the budget of 8.9 FTE does not cover the first estimate of 8 clusters, which takes at least 9.0"),
        ({"fte": 1e6, "evaluations": 3}, r"the budget of 3 evaluations does not cover the first estimate of 8 clusters"),
    ],
)
def test_a_budget_of_scoring_below_its_first_estimate(project_root: Path, budget: dict[str, float], said: str) -> None:
    """Ratings, which are made before scores, would be paid for in vain."""
    params = params_of(project_root, C=8)

    def within(**limits: float) -> Params:
        own = params.score.budget.model_copy(update={"evaluations": None, "fte": None, "minutes": None} | limits)
        return params.model_copy(update={"score": params.score.model_copy(update={"budget": own, "method": "permutation"})})

    with pytest.raises(ShedError, match=said):
        check_score_budget(within(**budget), 30.0, 3000.0)
    assert check_score_budget(within(fte=100.0), 30.0, 3000.0) is None
    assert "may not cover" in str(check_score_budget(within(fte=9.1), 30.0, 3000.0))
