"""Questions are read from either kind of file."""

from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.evaluation.questions import read_questions


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
