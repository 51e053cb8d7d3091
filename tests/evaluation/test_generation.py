"""Questions are read from either kind of file and answered the same way every time."""

from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.evaluation.generation import answer, read_questions
from shed.models.specs import ModelSpec


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
def test_a_bad_file_of_questions_is_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(text)
    with pytest.raises(ShedError, match=message):
        read_questions(file)
    with pytest.raises(ShedError, match="no such file; questions are a JSON or JSONL file of objects with `question`") as error:
        read_questions(tmp_path / "none.jsonl")
    assert error.value.setting == "questions"


def test_answers_are_greedy_and_a_long_question_leaves_room_for_them(tiny_model: str) -> None:
    questions = ["why?", "x" * 500, "y" * 100 + "x" * 500]
    spec = ModelSpec(tiny_model, "plain", 200)
    first = answer(questions, spec, None, 8)
    assert first == answer(questions, spec, None, 8)
    assert first[1] == first[2]  # cut at their start, to the same end


def test_a_folder_without_an_adapter_is_refused(tiny_model: str, tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="no adapter is there") as error:
        answer(["why?"], ModelSpec(tiny_model, "plain", 200), tmp_path, 8)
    assert error.value.setting == "adapter"
