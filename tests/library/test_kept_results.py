"""What a folder keeps is not paid for again, by whatever `Selector` names it; with other rows or settings it is."""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shed import Selector
from shed.data.records import Record
from shed.library import measured
from shed.selection.scoring import ClusterScores
from shed.valuation.ratings import Ratings

Rows = list[dict[str, Any]]


@pytest.fixture
def paid(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was rated, embedded or scored."""
    made: list[str] = []
    for name in ("rate", "embed_to", "score_clusters"):
        own = getattr(measured, name)
        monkeypatch.setattr(measured, name, lambda *about, own=own, name=name: (made.append(name), own(*about))[1])
    return made


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ratings and scores that no model makes."""
    table = pd.DataFrame({"cluster": [0, 1, 2, 3], "score": 0.5})
    monkeypatch.setattr(measured, "rate", lambda pool, *_: of_places(pool))
    monkeypatch.setattr(measured, "open_game", lambda *_: nullcontext())
    monkeypatch.setattr(measured, "score_clusters", lambda *_: ClusterScores(table, table, {}))


def of_places(pool: Sequence[Record]) -> Ratings:
    return Ratings([record.id for record in pool], np.arange(len(pool), dtype=float), {"rated": len(pool)})


def results(selector: Selector) -> tuple[pd.DataFrame, ...]:
    scores = selector.score()
    return selector.rate().table, selector.cluster().table, scores.table, scores.convergence


def test_another_selector_of_the_same_finds_them(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], paid: list[str], tmp_path: Path
) -> None:
    asked = {**small, "folder": tmp_path / "kept"}
    first = Selector(pool, dev, test, **asked)
    before = results(first)
    assert sorted(paid) == ["embed_to", "rate", "score_clusters"]
    second = Selector(pool, dev, test, **{**asked, "sample": {"rows": 3}, "data": {"test_rows": 2}})  # none goes by these
    for one, other in zip(before, results(second), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert (second.rate().metrics, second.score().metrics) == (first.rate().metrics, first.score().metrics)
    assert len(paid) == 3
    assert type(before[2]["proxies"][0]) is list


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"rate.seed": 9}, {"rate"}),
        ({"rate.warm_rows": 9}, {"rate"}),
        ({"rate.method": "in_run"}, {"rate"}),
        ({"rate.dev_rows": 3}, {"rate"}),
        ({"regime.lr": 0.01}, {"rate", "score_clusters"}),
        ({"model.max_tokens": 120}, {"rate", "score_clusters"}),
        ({"score.seed": 9}, {"score_clusters"}),
        ({"score.by": "ratings"}, {"score_clusters"}),
        ({"C": 3}, {"score_clusters"}),
        ({"embed.of": "response"}, {"embed_to", "score_clusters"}),
        ({"data.seed": 9}, {"rate", "embed_to", "score_clusters"}),  # the pool in another order
    ],
)
def test_other_settings_are_paid_for(
    changes: dict[str, Any],
    again: set[str],
    pool: Rows,
    dev: Rows,
    test: Rows,
    small: dict[str, Any],
    cheap: None,
    paid: list[str],
    tmp_path: Path,
) -> None:
    results(Selector(pool, dev, test, **small, folder=tmp_path))
    del paid[:]
    flat = {f"{group}.{name}": value for group, own in small.items() if group != "C" for name, value in own.items()}
    results(Selector(pool, dev, test, folder=tmp_path, **{"C": 4, **flat, **changes}))
    assert set(paid) == again


def test_other_rows_and_the_rows_of_another_task_are_paid_for(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], cheap: None, paid: list[str], tmp_path: Path
) -> None:
    asked = {**small, "folder": tmp_path}
    tasks = {name: {"from": rows, "weight": 1} for name, rows in {"a": dev[:2], "b": dev[2:]}.items()}
    results(Selector(pool, dev, test, **asked))
    for other in (
        Selector(pool[1:], dev, test, **asked),
        Selector(pool, dev[1:], test, **asked),
        Selector(pool, tasks, test, **asked),
        Selector(pool, {**tasks, "b": {**tasks["b"], "weight": 2}}, test, **asked),
        Selector(pool, tasks, test, **asked, data={"dev_combine": "worst"}),
    ):
        del paid[:]
        results(other)
        assert {"rate", "score_clusters"} <= set(paid)


@pytest.mark.parametrize("name", ["ratings.parquet", "metrics.json", "embeddings-*.npy"])
def test_what_is_damaged_is_set_aside_and_made_anew(
    name: str,
    pool: Rows,
    dev: Rows,
    test: Rows,
    small: dict[str, Any],
    cheap: None,
    paid: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made() -> tuple[Any, ...]:
        selector = Selector(pool, dev, test, **small, folder=tmp_path)
        return selector.rate().table, selector.rate().metrics, selector.cluster().table

    before = made()
    path = next(tmp_path.rglob(name))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    capsys.readouterr()
    del paid[:]
    for one, other in zip(before, made(), strict=True):
        assert one.equals(other) if isinstance(one, pd.DataFrame) else one == other
    assert paid == ["embed_to" if name.startswith("embeddings") else "rate"]
    assert "is damaged: it is not as it was kept; moved to" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.damaged-*"))) == 1


def test_a_result_that_lost_a_table_or_has_one_more_is_made_anew(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], cheap: None, paid: list[str], tmp_path: Path
) -> None:
    asked = {**small, "folder": tmp_path}
    for change in (lambda table: table.unlink(), lambda table: shutil.copy(table, table.with_name("more.parquet"))):
        first = Selector(pool, dev, test, **asked).rate().table
        del paid[:]
        (table,) = (path for path in tmp_path.rglob("ratings.parquet") if "damaged" not in path.parent.name)
        change(table)
        pd.testing.assert_frame_equal(Selector(pool, dev, test, **asked).rate().table, first)
        assert paid == ["rate"]
