"""Baselines rank first what is like dev, or what is long."""

import numpy as np
import pytest

from shed.data.records import single_turn
from shed.selection.baselines import baseline_scores, importance


def test_each_baseline_prefers_what_its_name_says() -> None:
    records = [
        single_turn("where do whales swim", "in the wide blue ocean", "a", "1"),
        single_turn("how is bread made", "flour", "a", "2"),
        single_turn("who wrote the play about a prince", "a poet", "a", "3"),
    ]
    dev = [single_turn("what animals swim in the ocean", "whales", "d", "1"), single_turn("zzz", "qqq", "d", "2")]
    embeddings = np.eye(3, dtype=np.float32)
    scores = baseline_scores(records, dev, embeddings, embeddings[[1, 1]])
    assert np.argmax(scores["bm25"]) == 0
    assert np.argmax(scores["cosine"]) == 1
    assert np.argmax(scores["length"]) == 0
    assert scores["bm25"][2] < scores["bm25"][0]


def test_queries_without_a_known_word_score_nothing() -> None:
    records = [single_turn("bread", "flour", "a", "1"), single_turn("sea", "fish", "a", "2")]
    dev = [single_turn("zzz", "qqq", "d", "1")]
    assert baseline_scores(records, dev, np.eye(2), np.eye(2)[:1])["bm25"].tolist() == [0, 0]


def test_importance_is_the_mean_log_ratio_of_smoothed_frequencies() -> None:
    """By hand: each text has three words and two pairs of words, each in a bucket of its own."""
    records = [single_turn("red fox", "runs", "a", "1"), single_turn("blue sky", "shines", "a", "2")]
    found = importance(records, [single_turn("red fox", "sleeps", "d", "1")], buckets=10_000)
    more_in_records = np.log(10_010 / 10_005)
    assert found == pytest.approx([more_in_records + 2 / 5 * np.log(1 / 2), more_in_records + np.log(1 / 2)], rel=1e-9)
