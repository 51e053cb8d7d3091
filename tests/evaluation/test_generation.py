"""Questions are read from either kind of file and answered the same way every time."""

from pathlib import Path

import pytest

from shed.evaluation.generation import answer, read_questions
from shed.common.errors import ShedError


def test_questions_in_either_form(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "Why?"}\n{"question_id": 81, "turns": ["Write a poem.", "Shorter."]}\n')
    assert read_questions(file) == ["Why?", "Write a poem."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no questions"),
        ('{"question": " "}', "line 1: a question needs `question` or `turns`"),
        ('{"turns": []}', "line 1: a question needs"),
        ("{", "line 1: not valid JSON"),
    ],
)
def test_what_is_no_question(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(text)
    with pytest.raises(ShedError, match=message):
        read_questions(file)
    with pytest.raises(ShedError, match=r"no such file; judge\.questions is"):
        read_questions(tmp_path / "none.jsonl")


def test_answers_are_greedy_and_a_long_question_leaves_them_room(tiny_model: str) -> None:
    questions = ["why?", "x" * 500, "y" * 100 + "x" * 500]
    first = answer(questions, tiny_model, None, "plain", 200, 8)
    assert first == answer(questions, tiny_model, None, "plain", 200, 8)
    assert first[1] == first[2]  # cut at their start, to the same end


def test_an_adapter_that_is_not_there(tiny_model: str, tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="no adapter is there"):
        answer(["why?"], tiny_model, tmp_path, "plain", 200, 8)
