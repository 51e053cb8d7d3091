"""Answers: what a model writes to a question, greedily.

In: a file of questions, a model, an adapter or none. Out: a text for each.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.data.files import BadRow, rows
from shed.data.records import single_turn
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec


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


def answer(questions: Sequence[str], spec: ModelSpec, adapter: Path | None, max_new_tokens: int) -> list[str]:
    """Answers of at most `max_new_tokens` tokens to questions, which are cut at their start so that both fit the context.

    Raises:
        ShedError: the folder holds no adapter.
    """
    from peft import PeftModel

    if adapter is not None and not (adapter / "adapter_config.json").is_file():
        raise ShedError(f"{adapter}: no adapter is there (adapter_config.json is missing)", "adapter")
    loaded = load_language_model(spec)
    base, encoder = loaded.model, loaded.encoder
    tuned = base if adapter is None else PeftModel.from_pretrained(base, adapter)
    room = max(1, encoder.limit - max_new_tokens)
    answers = []
    for question in track(questions, "answering", "question"):
        tokens = torch.tensor([encoder.prompt_tokens(single_turn(question, "", "", ""), room)], device=base.device)
        with torch.inference_mode():
            written = tuned.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=encoder.stops or None,
                pad_token_id=encoder.tokenizer.pad_token_id or encoder.tokenizer.eos_token_id,
            )
        answers.append(encoder.tokenizer.decode(written[0, tokens.shape[1] :], skip_special_tokens=True).strip())
    return answers
