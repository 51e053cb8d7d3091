"""Records that are damaged on purpose, and whether scores and a selection detect them."""

import json
from dataclasses import replace
from typing import get_args

import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.data.duplicates import content_key
from shed.data.faults import Fault, damage, fault_detection
from shed.data.records import Message, Record, single_turn


@pytest.fixture
def pool() -> list[Record]:
    choice = [
        single_turn(f"which is {i}", f"the number {i}", "choice", f"a {i}", [f"the number {i}", f"the letter {i}"], 0)
        for i in range(20)
    ]
    return choice + [single_turn(f"say {i}", f"{i}", "short", f"b {i}") for i in range(20)]


@pytest.mark.parametrize("kind", ["swapped", "wrong_option", "truncated", "duplicate"])
def test_a_share_of_the_records_is_damaged_in_its_place(pool: list[Record], kind: Fault) -> None:
    damaged, faults = damage(pool, 0.25, [kind], ["choice"], seed=1)
    changed = [(old, new) for old, new in zip(pool, damaged, strict=True) if old != new]
    assert len(changed) == len(faults) == 5
    assert {new.id for _, new in changed} == set(faults)
    assert set(faults.values()) == {kind}
    assert all(old.source == "choice" for old, _ in changed)
    assert len({record.id for record in damaged}) == len(pool)
    for old, new in changed:
        if kind == "swapped":
            assert new.prompt == old.prompt
            assert new.response in {record.response for record in pool} - {old.response}
            assert new.choices == ()
        if kind == "wrong_option":
            assert new.response == old.choices[1]
            assert new.choices == old.choices
            assert new.answer == 1
        if kind == "truncated":
            assert new.response == "the"
        if kind == "duplicate":
            keys = {content_key(record) for record in pool if record.source == old.source}
            assert content_key(new) in keys - {content_key(old)}
            assert new.choices[new.answer or 0] == new.response


def test_the_row_as_the_user_gave_it_goes_with_the_damage(pool: list[Record]) -> None:
    pool = [replace(record, given='{"output": "sound"}') for record in pool]
    for kind in get_args(Fault):
        damaged, faults = damage(pool, 0.25, [kind], ["choice"], seed=1)
        assert {record.given for record in damaged if record.id in faults} == {""}
        assert {record.given for record in damaged if record.id not in faults} == {'{"output": "sound"}'}


def test_a_swapped_tool_call_stays_a_call_and_a_turn_that_is_not_trained_is_not_damaged() -> None:
    def calls(tool: str, weight: float = 1.0) -> Record:
        call = json.dumps([{"type": "function", "function": {"name": tool, "arguments": {}}}])
        turns = (Message("user", f"use {tool}"), Message("assistant", "", weight, tool_calls=call))
        return Record(turns, "calls", tool, tools="[]")

    pool = [calls("hammer"), calls("saw"), calls("drill", 0.5), calls("file", 0.0)]
    damaged, faults = damage(pool, 1.0, ["swapped"], None, seed=1)
    assert len(faults) == 3
    assert damaged[3] == pool[3]
    assert [turn.messages[-1].weight for turn in damaged] == [1.0, 1.0, 0.5, 0.0]
    assert {record.messages[-1].tool_calls for record in damaged} == {record.messages[-1].tool_calls for record in pool}


def test_a_record_that_a_kind_does_not_fit_is_swapped_and_a_seed_repeats_it(pool: list[Record]) -> None:
    damaged, faults = damage(pool, 1.0, ["wrong_option", "truncated"], ["short"], seed=2)
    assert set(faults.values()) == {"swapped"}
    assert damage(pool, 1.0, ["wrong_option", "truncated"], ["short"], seed=2) == (damaged, faults)
    assert damage(pool, 0.0, ["swapped"], None, seed=2) == (pool, {})


def test_impossible_faults_are_errors(pool: list[Record]) -> None:
    with pytest.raises(ShedError, match="the pool has no source chioce to damage; it has choice, short") as error:
        damage(pool, 0.2, ["swapped"], ["chioce"], seed=1)
    assert error.value.setting == "fault sources"
    with pytest.raises(ShedError, match=r"a share of 0\.001 damages none of 40 records; raise it or set it to 0") as error:
        damage(pool, 0.001, ["swapped"], None, seed=1)
    assert error.value.setting == "fault share"


def test_scores_that_detect_faults_and_scores_that_do_not() -> None:
    scores = pd.Series([0.5, 0.4, 0.1, 0.1], index=["a", "b", "c", "d"])
    ratings = pd.Series([0.5, 0.0, 0.4, 0.1], index=["a", "b", "c", "d"])
    sources = pd.Series(["x", "y", "x", "y"], index=["a", "b", "c", "d"])
    assert fault_detection(scores, ratings, sources, {"c", "d"}, {"selection": ["a", "b"], "random": ["a", "d"]}) == {
        "faulty_share_of_pool": 0.5,
        "faulty_share_of_selection": 0.0,
        "faulty_share_of_random": 0.5,
        "auroc_of_scores": 1.0,
        "auroc_of_ratings": 0.5,
        "auroc_of_ratings_within_sources": 0.5,
    }
    assert fault_detection(scores, ratings, sources, {"a", "c"}, {})["auroc_of_scores"] == 0.375
    of_one_source = fault_detection(scores, ratings, sources, {"d"}, {})
    assert of_one_source["auroc_of_ratings"] == pytest.approx(2 / 3)
    assert of_one_source["auroc_of_ratings_within_sources"] == 0.0
    assert fault_detection(scores, ratings, sources, set(), {})["auroc_of_scores"] is None
    assert fault_detection(scores, ratings * float("nan"), sources, {"a"}, {})["auroc_of_ratings"] is None
