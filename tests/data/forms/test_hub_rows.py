"""Rows as data sets of the hub have them: read with all their turns, or one line that says why not and what to do."""

from typing import Any

import pytest
from row_reading import Row, messages, read, reason, turns

from shed.common.errors import ShedError
from shed.data.forms.found import form_found

TALK = [("user", "q0"), ("assistant", "a0"), ("user", "q1"), ("assistant", "a1")]
TURNS = [{"role": role, "content": text} for role, text in TALK]
SHAREGPT = [{"from": "human" if role == "user" else "gpt", "value": text} for role, text in TALK]
RATED = {"openai_moderation": [{"flagged": False, "categories": {"hate": False}}], "toxic": False, "redacted": False}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            {"instruction": "q", "context": "x", "response": "a", "category": "closed_qa"},
            [("user", "q\n\nx"), ("assistant", "a")],
            id="Dolly",
        ),
        pytest.param(
            {"id": "flan.1", "system_prompt": "s", "question": "q", "response": "a"},
            [("system", "s"), ("user", "q"), ("assistant", "a")],
            id="OpenOrca",
        ),
        pytest.param(
            {"source": "Airoboros", "conversation": [{"input": "q0", "output": "a0"}, {"input": "q1", "output": "a1"}]},
            TALK,
            id="Capybara",
        ),
        pytest.param(
            {"prompt": "q0", "prompt_id": "1", "messages": TURNS, "category": "Generation"},
            TALK,
            id="no_robots, ultrachat_200k",
        ),
        pytest.param(
            {"prompt": "q", "response": "a", "helpfulness": 4, "correctness": 4, "coherence": 4, "verbosity": 2},
            [("user", "q"), ("assistant", "a")],
            id="HelpSteer",
        ),
        pytest.param(
            {
                "uuid": "0-1",
                "conversations": SHAREGPT,
                "gen_input_configs": {"temperature": 1.0, "top_p": 1.0, "input_generator": "L", "pre_query_template": "<|x|>"},
                "task_category": "Math",
                "other_task_category": ["Coding"],
                "difficulty": "easy",
                "input_quality": "good",
                "instruct_reward": -3.5,
                "min_neighbor_distance": 0.1,
                "language": "EN",
            },
            TALK,
            id="Magpie",
        ),
        pytest.param(
            {"conversation_id": "1", "model": "gpt-4", "conversation": TURNS, "turn": 2, "language": "English", **RATED},
            TALK,
            id="LMSYS-Chat",
        ),
        pytest.param(
            {"id": "1", "title": "Oslo", "context": "x", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}},
            [("user", "q\n\nx"), ("assistant", "a")],
            id="SQuAD on the hub",
        ),
        pytest.param({"id": "1", "messages": TURNS, "source": "tulu", "parallel_tool_calls": True}, TALK, id="Tulu, OpenAI"),
    ],
)
def test_rows_with_all_their_turns(row: Row, expected: list[tuple[str, str]]) -> None:
    assert turns(read(row)) == expected


def test_turns_under_a_name_of_their_own_are_read_by_their_column() -> None:
    """UltraChat."""
    row = {"id": "0", "data": [text for _, text in TALK]}
    assert turns(read(row, columns={"messages": "data"})) == TALK


def test_wildchat_says_which_keys_are_to_be_ignored_and_is_then_read() -> None:
    beside = {"country": "Norway", "hashed_ip": "x", "header": {"accept-language": "en"}, "toxic": False, "turn_identifier": 1}
    row = {"conversation_id": "1", "model": "gpt-4", "turn": 2, "state": "Oslo", **RATED}
    row["conversation"] = [{**turn, **beside} for turn in TURNS]
    assert "the keys 'country', 'hashed_ip' of a turn are not used; ignore them" in reason(row)
    ignored = ["country", "hashed_ip"]
    assert "the key 'state' is not used by the form sharegpt" in reason(row, ignore=ignored)
    assert turns(read(row, ignore=[*ignored, "state"])) == TALK


MMLU_PRO = {"question_id": 1, "question": "q", "options": ["x", "a"], "answer": "B", "answer_index": 1, "cot_content": ""}
OPEN_R1 = {"Question": "q", "Complex_CoT": "hm", "Response": "a"}


@pytest.mark.parametrize(
    ("row", "how"),
    [
        ({"conversations": SHAREGPT[:2], "skip_prompt_formatting": False}, {"ignore": ["skip_prompt_formatting"]}),
        ({"query": "q0", "response": "a0", "type": "GSM", "original_question": "o"}, {"ignore": ["original_question"]}),
        (
            {"conversations": SHAREGPT[:2], "intent": "i", "knowledge": "k", "quality_explanation": "e", "llama_guard_2": "s"},
            {"ignore": ["intent", "knowledge", "quality_explanation", "llama_guard_2"]},
        ),
    ],
)
def test_what_the_page_says_to_ignore_of_known_data_sets(row: Row, how: dict[str, Any]) -> None:
    assert "not used" in reason(row)
    assert turns(read(row, **how)) == TALK[:2]


def test_what_the_page_says_of_data_sets_with_columns_of_their_own() -> None:
    record = read({**MMLU_PRO, "src": "x"}, columns={"choices": "options"}, ignore=["answer_index", "src"])
    assert (record.choices, record.answer) == (("x", "a"), 1)
    record = read(OPEN_R1, columns={"prompt": "Question", "response": "Response", "reasoning": "Complex_CoT"})
    assert (record.prompt, record.messages[-1].content, record.messages[-1].reasoning) == ("q", "a", "hm")
    row = {"question": "q", "reasoning": "hm", "answer": "a"}
    assert "the key 'reasoning' is not used" in reason(row)
    assert read(row, columns={"reasoning": "reasoning"}).messages[-1].reasoning == "hm"
    answers = {"value": "a", "aliases": ["a", "b"], "normalized_value": "a", "type": "WikipediaEntity"}
    assert turns(read({"question": "q", "answer": answers})) == [("user", "q"), ("assistant", "a")]  # TriviaQA
    assert reason({"question": "q", "answer": {"best": "a"}}) == "'answer' is not text but an object; write it as text"
    assert reason({"question": "q", "answer": True}) == "'answer' is not text but true or false; write it as text"


ARTICLE = {"title": "t", "paragraphs": [{"context": "x", "qas": [{"id": "1", "question": "q", "answers": [{"text": "a"}]}]}]}
TREE = {"message_tree_id": "1", "prompt": {"text": "q", "role": "prompter", "replies": [{"text": "a", "replies": []}]}}
CHOSEN, REJECTED = messages("uq", "aa")["messages"], messages("uq", "ab")["messages"]
PAIRS = "which are no instruction rows: shed tunes on one response; to tune on"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        pytest.param(
            ARTICLE,
            "its rows (of the form question_answer) are nested under 'qas' in 'paragraphs'; flatten them to one row each, with "
            "'context' from around it in each",
            id="SQuAD's own files",
        ),
        pytest.param(TREE, "a tree of replies; write each path from its root to a leaf as one row of `messages`", id="OASST"),
        pytest.param(
            {"message_id": "1", "parent_id": None, "text": "q", "role": "prompter", "lang": "en"},
            "each row is one turn; write the turns of each conversation as one row",
            id="OASST, flat",
        ),
        pytest.param(
            {"id": "0", "data": ["q0", "a0"]},
            "'data' looks like the turns of a conversation; set the columns: {messages: data}",
            id="UltraChat",
        ),
        pytest.param(
            {"prompt": "q", "chosen": CHOSEN, "rejected": REJECTED, "score_chosen": 8.0, "score_rejected": 3.0},
            f"(chosen, rejected), {PAIRS} chosen, ignore rejected and set the columns: {{messages: chosen}}",
            id="ORPO",
        ),
        pytest.param(
            {"prompt": "q", "messages": CHOSEN, "chosen": CHOSEN, "rejected": REJECTED},
            f"{PAIRS} `messages`, ignore chosen and rejected",
            id="UltraFeedback, binarised",
        ),
        pytest.param(
            {"question": "q", "chosen": "a", "rejected": "b", "system": "s"},
            f"{PAIRS} chosen, ignore rejected and set the columns: {{prompt: question, response: chosen}}",
            id="Orca DPO",
        ),
        pytest.param(
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
            "shed tunes on one response; chosen is one text of prompt and response; to tune on it, split it at its marks Human: and "
            "Assistant: into the turns of a column `messages`, and ignore chosen and rejected",
            id="HH-RLHF",
        ),
        pytest.param(
            {"instruction": "q", "models": ["m", "n"], "completions": [{"response": "a"}, {"response": "b"}]},
            "each row has several responses ('completions'), and shed tunes on one",
            id="UltraFeedback",
        ),
        pytest.param(
            {"custom_id": "1", "method": "POST", "url": "/v1", "body": {"model": "m", "messages": TURNS}},
            "what is tuned (of the form messages) stands in the object under 'body', into which no column reaches; "
            "write its keys to the row itself",
            id="OpenAI's batches",
        ),
        pytest.param(
            {"title": "t", "mapping": {"0": {"message": None, "parent": None, "children": ["1"]}}, "current_node": "1"},
            "'mapping' holds a tree of turns, as ChatGPT exports have it, into which no column reaches",
            id="ChatGPT's export",
        ),
        pytest.param(
            {"prompt": "q", "response_a": "a", "response_b": "b", "winner": "a"},
            "each row has several responses ('response_a', 'response_b')",
            id="arena",
        ),
    ],
)
def test_rows_that_are_no_examples_are_told_what_they_are_and_what_to_do(row: Row, said: str) -> None:
    with pytest.raises(ShedError) as error:
        form_found("mine.jsonl", [row, row], {})
    assert str(error.value).startswith("mine.jsonl: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_cannot_reach_into_an_object() -> None:
    with pytest.raises(ShedError, match=r"no column 'body\.messages' for the messages, and a column cannot reach into 'body'"):
        form_found("mine.jsonl", [{"body": {"messages": TURNS}}], {"messages": "body.messages"})


@pytest.mark.parametrize(
    ("row", "how"),
    [
        ({"prompt": "q", "chosen": CHOSEN, "rejected": REJECTED}, {"columns": {"messages": "chosen"}, "ignore": ["rejected"]}),
        ({"question": "q", "chosen": "a", "rejected": "b"}, {"columns": {"prompt": "question", "response": "chosen"}}),
        ({"messages": CHOSEN, "chosen": CHOSEN, "rejected": REJECTED}, {"ignore": ["chosen", "rejected"]}),
        (
            {"prompt": "q", "response_a": "a", "response_b": "b"},
            {"columns": {"response": "response_a"}, "ignore": ["response_b"]},
        ),
    ],
)
def test_what_is_advised_works(row: Row, how: dict[str, Any]) -> None:
    form = form_found("mine.jsonl", [row], how.get("columns", {}), how.get("ignore", ()))
    how = {"ignore": ["rejected"], **how}
    assert turns(read(row, form=form, **how)) == [("user", "q"), ("assistant", "a")]
