"""Questions for a judge to compare answers to.

In: a file in JSON or JSONL. Out: texts.
"""

from pathlib import Path

from shed.common.errors import ShedError
from shed.data.files import BadRow, rows


def read_questions(path: Path | str) -> list[str]:
    """The questions of a JSON or JSONL file: `question`, or the first of `turns` as in MT-Bench's files.

    Raises:
        ShedError: the file is absent or empty, or an entry has no question.
    """
    path = Path(path)
    if not path.is_file():
        raise ShedError(f"{path}: no such file; questions are a JSON or JSONL file of objects with `question`", "questions")
    questions = []
    for row in rows(path, None):
        if isinstance(row, BadRow):
            raise ShedError(f"{row.origin}: {row.reason}", "questions")
        turns = row.values.get("turns")
        question = row.values.get("question", turns[0] if isinstance(turns, list) and turns else None)
        if not isinstance(question, str) or not question.strip():
            raise ShedError(f"{row.origin}: a question needs `question` or `turns`, a text that is not empty")
        questions.append(question)
    if not questions:
        raise ShedError(f"{path}: holds no questions")
    return questions
