"""What a model writes, greedily, and how near that is to an expected text.

In: a model and records, whose last turn it is to write, or questions. Out: a text for each, and a score from 0 to 1.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from shed.common.progress import track
from shed.data.records import Record, single_turn
from shed.models.adapters import check_adapter, with_adapter
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters
UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")

NO_THOUGHT = re.compile(r"<think>\s*</think>")  # templates write it by themselves


@dataclass(frozen=True)
class Writing:
    """How many answers are written, and how long they may be.

    Attributes:
        limit: records of each source; None: all.
        max_new_tokens: of an answer.
    """

    limit: int | None
    max_new_tokens: int

    def places(self, records: Sequence[Record]) -> list[int]:
        """The first records of a source that have no options, and whose last turn a model is tuned to write."""
        return [n for n, record in enumerate(records) if not record.choices and record.messages[-1].trained][: self.limit]


def write(
    model: "PreTrainedModel", encoder: Encoder, records: Sequence[Record], max_new_tokens: int, batch_size: int
) -> list[str]:
    """What the model writes as the last turn of each record, after all turns before it.

    A prompt is cut so that it fits the context together with its answer; see `shed.models.encoding`.
    """
    prompts = [encoder.prompt_tokens(record, max(1, encoder.limit - max_new_tokens)) for record in records]
    longest_first = sorted(range(len(prompts)), key=lambda n: -len(prompts[n]))
    batches = [longest_first[start : start + batch_size] for start in range(0, len(prompts), batch_size)]
    texts: dict[int, str] = {}
    for batch in track(batches, "writing", "batch"):
        texts |= zip(batch, _continued(model, encoder, [prompts[n] for n in batch], max_new_tokens), strict=True)
    return [texts[n] for n in range(len(prompts))]


def expected(encoder: Encoder, record: Record) -> str:
    """What a model that was tuned on the record until it knows it writes as its last turn."""
    written = encoder.renderer.whole(record)
    last = written.parts[-1]
    text = encoder.renderer.control_tokens.sub("", written.text[last.start : last.end])
    return "".join(written.hidden.get(character, character) for character in text).strip()


def rouge_l(written: str, wanted: str) -> float:
    """ROUGE-L (Lin 2004): the F1 of the longest common subsequence of words, 1 for the same words in the same order.

    Case and punctuation do not count, unless a text has nothing else, nor does an empty thought. Of scripts without spaces each
    character is a word.
    """
    return float(_scorer().score(wanted, written)["rougeL"].fmeasure)


def answer(questions: Sequence[str], spec: ModelSpec, adapter: Path | None, max_new_tokens: int) -> list[str]:
    """Answers of at most `max_new_tokens` tokens to questions, which are cut at their start so that both fit the context.

    Raises:
        ShedError: the folder holds no adapter of this model.
    """
    if adapter is not None:
        check_adapter(adapter)  # before the model takes its time
    loaded = load_language_model(spec)
    tuned = loaded.model if adapter is None else with_adapter(loaded.model, adapter, spec.where)
    records = [single_turn(question, "", "", "") for question in questions]
    return write(tuned, loaded.encoder, records, max_new_tokens, batch_size=1)


def _continued(model: "PreTrainedModel", encoder: Encoder, prompts: Sequence[Sequence[int]], most: int) -> list[str]:
    """Prompts of any lengths stand at the right of a batch, so that all go on at the same place."""
    tokenizer, stops, longest = encoder.tokenizer, encoder.stops, max(map(len, prompts))
    pad = next((token for token in (tokenizer.pad_token_id, *stops) if token is not None), 0)
    tokens = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    seen = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    with torch.inference_mode():
        found = model.generate(
            input_ids=torch.tensor(tokens, device=model.device),
            attention_mask=torch.tensor(seen, device=model.device),
            max_new_tokens=most,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,  # a model may come with another, which is for chatting
            use_cache=True,
            eos_token_id=stops or None,
            pad_token_id=pad,
        )
    answers = [itertools.takewhile(lambda token: token not in stops, own) for own in found[:, longest:].tolist()]
    return [tokenizer.decode(list(own), skip_special_tokens=True).strip() for own in answers]


class _Words:
    """A text's words, as ROUGE's own tokenizer finds them in English, in any script."""

    def tokenize(self, text: str) -> list[str]:
        text = NO_THOUGHT.sub("", text)
        kept = "".join(one if unicodedata.category(one)[0] in "LMN" else " " for one in text.lower())
        return UNSPACED.sub(r" \1 ", kept).split() or [one for one in text if not one.isspace()]


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # takes seconds, and most evaluations write nothing

    return RougeScorer(["rougeL"], tokenizer=_Words())
