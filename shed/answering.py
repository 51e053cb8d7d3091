"""Answers: what a model writes to a question, greedily.

In: a file of questions, a model, an adapter or none. Out: a text for each.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from shed.errors import ShedError
from shed.models import load_model, load_tokenizer
from shed.progress import track
from shed.prompts import Form, opening, render_prompt
from shed.records import file_rows, single_turn


def read_questions(path: Path | str) -> list[str]:
    """The questions of a JSON or JSONL file: `question`, or the first of `turns` as in MT-Bench's files.

    Raises:
        ShedError: the file is absent or empty, or an entry has no question.
    """
    path = Path(path)
    if not path.is_file():
        raise ShedError(f"{path}: no such file; judge.questions is a JSON or JSONL file of objects with `question`")
    questions = []
    for place, row in file_rows(path):
        turns = row.get("turns")
        question = row.get("question", turns[0] if isinstance(turns, list) and turns else None)
        if not isinstance(question, str) or not question.strip():
            raise ShedError(f"{place}: a question needs `question` or `turns`, a text that is not empty")
        questions.append(question)
    if not questions:
        raise ShedError(f"{path}: holds no questions")
    return questions


def answer(
    questions: Sequence[str], model: str, adapter: Path | None, form: Form, max_tokens: int, max_new_tokens: int
) -> list[str]:
    """Answers of at most `max_new_tokens` tokens to questions, which are cut at their start to fit `max_tokens` with them.

    Raises:
        ShedError: the folder holds no adapter.
    """
    from peft import PeftModel

    if adapter is not None and not (adapter / "adapter_config.json").is_file():
        raise ShedError(f"{adapter}: no adapter is there (adapter_config.json is missing); see judge.against")
    tokenizer, base = load_tokenizer(model), load_model(model)
    tuned = base if adapter is None else PeftModel.from_pretrained(base, adapter)
    room = max(1, min(max_tokens, base.config.max_position_embeddings) - max_new_tokens)
    answers = []
    for question in track(questions, "answering", "question"):
        prompt = render_prompt(single_turn(question, "", "", ""), form, tokenizer)
        start = opening(tokenizer, form)
        kept = tokenizer.encode(prompt, add_special_tokens=False)[-max(1, room - len(start)) :]
        tokens = torch.tensor([[*start, *kept]], device=base.device)
        with torch.inference_mode():
            written = tuned.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            )
        answers.append(tokenizer.decode(written[0, tokens.shape[1] :], skip_special_tokens=True).strip())
    return answers
