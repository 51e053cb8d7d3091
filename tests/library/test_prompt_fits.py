"""Rows whose responses were swapped are found before anything is rated."""

from pathlib import Path
from typing import Any

import pytest

from shed import Selector
from shed.common.errors import ShedError
from shed.library import measured

Rows = list[dict[str, Any]]
LEAST = 0.5


def test_swapped_responses_fit_worst(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    pool[6]["output"], pool[9]["output"] = pool[9]["output"], pool[6]["output"]  # a sum and a place
    fits = Selector(pool, dev, test, **small).prompt_fit()
    assert fits.table["row"].tolist()[:2] in ([6, 9], [9, 6])
    assert fits.table["prompt_fit"].between(0, 1).all()
    assert fits.table["prompt_fit"].is_monotonic_increasing
    below = {"a_quarter": 0.25, "a_half": 0.5, "three_quarters": 0.75}
    shares = {f"share_below_{name}": (fits.table["prompt_fit"] < bound).mean() for name, bound in below.items()}
    assert fits.metrics == {"judged": 24} | shares
    assert " ".join(repr(fits).split()).startswith("PromptFitResult: of 24 records ")


def test_rows_that_fit_badly_are_left_out_where_it_is_asked_for(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]
) -> None:
    pool[6]["output"], pool[9]["output"] = pool[9]["output"], pool[6]["output"]
    selector = Selector(pool, dev, test, **small)
    fits = selector.prompt_fit().table
    low = set(fits.loc[fits["prompt_fit"] < LEAST, "row"])
    assert {6, 9} <= low
    own = selector.select("random", fraction=1.0, exclude={"prompt_fit": LEAST})
    assert set(own.table["row"]) == set(range(24)) - low
    assert own.metrics["left_out_by_prompt_fit"] == len(low)
    told = f"{len(low)} left out, since their responses fit their prompts too badly"
    assert told in " ".join(repr(own).split())
    assert len(selector.select("random", fraction=1.0)) == len(selector.select("full", exclude={"prompt_fit": LEAST})) == 24
    set_before = Selector(pool, dev, test, **small, **{"sample.exclude": {"prompt_fit": LEAST}})
    assert set(set_before.select("random", fraction=1.0).table["row"]) == set(range(24)) - low


def test_fits_that_are_not_to_be_found_cannot_leave_rows_out(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    asked = {"quality.prompt_fit": False, "sample.exclude.prompt_fit": 0.1}
    with pytest.raises(ShedError, match="is 0.1, but quality.prompt_fit is false"):
        Selector(pool, dev, test, **small, **asked)


def test_fits_are_kept_until_the_pool_changes(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Selector(pool, dev, test, folder=tmp_path, **small).prompt_fit()
    with monkeypatch.context() as forbidden:
        forbidden.setattr(measured, "prompt_fit_of", lambda *_: pytest.fail("embedded again"))
        assert Selector(pool, dev, test, folder=tmp_path, **small).prompt_fit().table.equals(first.table)
    pool[0]["output"] = "it is 7"
    assert not Selector(pool, dev, test, folder=tmp_path, **small).prompt_fit().table.equals(first.table)
