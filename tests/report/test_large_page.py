"""The page of a large pool shows some of its records and clusters, and says which."""

import re

import numpy as np
import pandas as pd
import pytest
from report_inputs import inputs

from shed.report import shown
from shed.report.page import render
from shed.report.shown import clusters_shown, records_shown


def test_of_a_small_pool_all_is_shown_and_nothing_is_said_of_a_draw() -> None:
    page = render(inputs())
    assert "Map of 40 pool records" in page
    assert "drawn at random" not in page
    assert "half the worst" not in page


def test_a_large_pools_page_shows_a_draw_of_records_and_the_ends_of_the_table_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown, "MAP_RECORDS", 20)
    monkeypatch.setattr(shown, "TABLE_CLUSTERS", 2)
    page = render(inputs())
    selected = inputs().selection
    assert "Map of 20 pool records" in page
    said = re.search(r"The map shows 20 of the pool's 40 records, drawn at random, (\d+) of them from the selected ones", page)
    assert said
    assert int(said[1]) == round(20 * len(selected) / 40)
    assert "The table shows 2 of 4 clusters" in page
    assert re.findall(r'<tr [^>]*data-rank="(\d+)"', page) == ["1", "4"]


def test_records_on_the_map_are_drawn_with_a_fifth_for_a_small_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MAP_RECORDS", 1000)
    selected = np.zeros(10_000, dtype=bool)
    for count, on_the_map in ((0, 0), (3, 3), (500, 200), (5000, 500), (9999, 1000), (10_000, 1000)):
        selected[:count] = True
        places = records_shown(selected)
        assert len(set(places.tolist())) == 1000
        assert (np.diff(places) > 0).all()
        assert int(selected[places].sum()) == on_the_map
        assert (records_shown(selected) == places).all()


def test_the_ends_of_the_table_are_the_best_and_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = pd.DataFrame({"rank": np.arange(1, 11)})
    for most, ranks in ((5, [1, 2, 8, 9, 10]), (10, [*range(1, 11)])):
        monkeypatch.setattr(shown, "TABLE_CLUSTERS", most)
        assert clusters_shown(scores)["rank"].tolist() == ranks
