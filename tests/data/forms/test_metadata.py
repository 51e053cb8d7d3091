"""Keys that nobody uses: which of them say nothing about what is tuned, by rule."""

import json
from typing import Any

import pytest
from row_reading import Row, messages, read, reason

ROW: Row = {"instruction": "q", "output": "a"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", "Oslo"),
        ("quality", "good"),
        ("parallel_tool_calls", True),
        ("helpfulness", 3),  # HelpSteer
        ("instruct_reward", -3.5),  # Magpie
        ("task_category", "Math"),
        ("input_quality", "poor"),
        ("min_similar_uuid", "0-1"),
        ("gen_input_configs", {"temperature": 1.0, "pre_query_template": "<|user|>"}),
        ("avatarUrl", "https://x"),  # OpenHermes
        ("createdAt", "2024-01-01"),
        ("posted_at", "2024-01-01"),
        ("model_names", ["a", "b"]),
        ("score_chosen", 8.5),
        ("openai_moderation", [{"categories": {"hate": False}, "category_scores": {"hate": 0.1}, "flagged": False}]),
        ("detoxify_moderation", [{"toxicity": 0.1}]),
        ("stats", {"n_tokens": 12, "source": "web"}),
    ],
)
def test_what_tells_of_a_row_is_no_part_of_it(key: str, value: Any) -> None:
    assert json.loads(read({**ROW, key: value}).given)[key] == value  # and is kept


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("context_text", "x"),
        ("persona", "a pirate"),
        ("task_description", "x"),
        ("target_language", "fr"),
        ("image_url", "https://x/cat.png"),
        ("image_id", 7),
        ("sample_weight", 0.5),
        ("is_train", False),
        ("deleted", True),
        ("label", 1),
        ("answer_index", 1),
        ("final_answer", 42),
        ("option_a", 3),
        ("A", 3),
        ("input_ids", [1, 2]),
        ("embedding", [0.1, 0.2]),
        ("stats", {"note": "x"}),
        ("class", 2),
        ("completion", 7),
    ],
)
def test_what_may_say_what_is_tuned_or_how_much_is_not_passed_over(key: str, value: Any) -> None:
    assert f"the key {key!r} is not used" in reason({**ROW, key: value})


def test_all_keys_of_a_turn_that_are_not_used_are_told_at_once() -> None:
    row = messages("uq", "aa")
    row["messages"][0] |= {"toxic": False, "turn_identifier": 7, "mood": "glad", "state": "Oslo"}  # the first two say nothing
    assert reason(row) == "the keys 'mood', 'state' of a turn are not used; ignore them if they say nothing"


def test_a_key_that_is_misspelt_is_told_with_what_was_meant() -> None:
    assert "'inptu' is not used by the form alpaca; 'inptu': did you mean 'input'?; name" in reason({**ROW, "inptu": "x"})
    assert reason({"instruction": "q", "outptu": "a"}, form="alpaca") == (
        "not of the form alpaca; it has the keys 'instruction', 'outptu'; 'outptu': did you mean 'output'?"
    )


@pytest.mark.parametrize("key", ["input", "context"])
@pytest.mark.parametrize(
    "row", [{"question": "q", "answer": "a"}, {"prompt": "q", "completion": "a"}, {"prompt": "q", "response": "a"}, ROW]
)
def test_input_and_context_stand_below_what_is_asked_in_every_form_of_columns(row: Row, key: str) -> None:
    assert read({**row, key: "x"}).prompt == "q\n\nx"
    assert read({**row, key: "q"}).prompt == "q"  # which only says it again
