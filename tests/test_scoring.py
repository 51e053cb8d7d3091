"""From clusters and records to a table of scores, through the ledger."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shed.errors import ShedError
from shed.proxy_game import Setting, code_digest, open_game
from shed.records import Record
from shed.scoring import Scored, score_clusters
from shed.valuation.removal import removal
from shed.valuation.training import Regime

REGIME = Regime(
    depth=1,
    r=2,
    alpha=4,
    modules=["q_proj", "down_proj"],
    optimizer="adamw",
    lr=0.01,
    momentum=0.9,
    batch_size=4,
    epochs=1,
    seed=3,
)


def scored(tiny_model: str, records: list[Record], ledger: Path, regime: Regime = REGIME, k: int = 2) -> Scored:
    clusters = pd.DataFrame({"cluster": [0, 1, 2, 3] * 2, "proxy": [True] * 6 + [False] * 2})
    setting = Setting(tiny_model, {"name": "tiny"}, "plain", 200, regime)
    with open_game(clusters, records[:8], records[8:], setting, ledger) as game:
        return score_clusters(game, partial(removal, n=1, k=k, seed=0), np.array([2, 2, 2, 2]), 200)


def test_a_table_best_first_whose_scores_sum_to_what_tuning_changed(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    result = scored(tiny_model, records, tmp_path / "ledger.sqlite")
    table = result.table
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["score"].is_monotonic_decreasing
    assert table.set_index("cluster")["proxies"].map(len).to_dict() == {0: 2, 1: 2, 2: 1, 3: 1}
    assert table["size"].tolist() == [2, 2, 2, 2]
    assert result.metrics["score_sum"] == pytest.approx(result.metrics["v_all_minus_v_none"])
    assert result.metrics["evaluations"] <= 2 + 2 * 3
    again = scored(tiny_model, records, tmp_path / "ledger.sqlite")
    assert again.metrics == result.metrics  # costs too: they are those of the evaluations used, whenever they were made


def test_a_diverged_coalition_is_said_and_the_measured_stay(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=r"\d of \d coalitions diverged, so there is no result; lower score\.tuning\.lr"):
        scored(tiny_model, records, tmp_path / "ledger.sqlite", dataclasses.replace(REGIME, optimizer="sgd", lr=1e30))


def test_the_digest_of_code_ignores_comments_and_docstrings_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    digests = []
    for text in (
        '"""A."""\ndef f():\n    """B."""\n    return 1\n',
        "# c\ndef f():\n    return 1\n",
        "def f():\n    return 2\n",
    ):
        path.write_text(text)
        digests.append(code_digest(path))
    assert digests[0] == digests[1] != digests[2]
