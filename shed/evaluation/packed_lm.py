"""An lm-eval model that reads each question once, however many options it has.

In: lm-eval's log-likelihood requests. Out: the same answers as lm-eval's own `HFLM`, at a fraction of the tokens.

A request for one of the project's own records names its tokens, which the `Encoder` made; of other tasks lm-eval makes them.

Several questions stand in one sequence: a question's prompt, then its options one after the other. The attention mask lets an
option see its prompt and itself alone, and its positions follow the prompt's, so that each option is scored as if it
stood there by itself. Only positions that predict a scored token go through the vocabulary head.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.models.encoding import Encoded, Span
from shed.models.parallel import Cores

Request = tuple[tuple[str, str], list[int], list[int]]
PACK_TOKENS, PACK_TOKENS_OF_GPU = 256, 2048  # of the questions in one sequence, unless it is a single one


@dataclass
class _Question:
    """One prompt and the sequences that begin with it, each with its number."""

    prompt: tuple[int, ...]
    options: list[tuple[int, Encoded]] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.prompt) + sum(len(option.tokens) - len(self.prompt) - 1 for _, option in self.options)


def _halves(pack: Sequence[_Question]) -> list[list[_Question]]:
    """Of a pack that the device has not enough memory for; of a single question, its options in two halves."""
    if len(pack) > 1:
        return [list(pack[: len(pack) // 2]), list(pack[len(pack) // 2 :])]
    (question,) = pack
    middle = len(question.options) // 2
    return [[_Question(question.prompt, own)] for own in (question.options[:middle], question.options[middle:]) if own]


class PackedLM(HFLM):  # type: ignore[misc]
    """`HFLM` whose `loglikelihood` packs up to `batch_size` questions into one sequence.

    Args:
        encoded: the tokens of requests (context, continuation) that are not lm-eval's to make.
    """

    def __init__(self, *args: Any, encoded: Mapping[tuple[str, str], Encoded] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._encoded = encoded or {}

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        if self._encoded and all(request.args in self._encoded for request in requests):
            return self._score_all([self._encoded[request.args] for request in requests])
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm or not sys.stderr.isatty())  # type: ignore[no-any-return]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """As lm-eval does it.

        Raises:
            ShedError: a task asks for answers that are as long as the context.
        """
        longest = max(normalize_gen_kwargs(request.args[1], self.max_gen_toks)["max_gen_toks"] for request in requests)
        if longest >= self.max_length:
            raise ShedError(
                f"a task has answers of up to {longest} tokens, and the context has {self.max_length}; no room is left to ask",
                "context length",
            )
        return super().generate_until(requests, disable_tqdm=disable_tqdm or not sys.stderr.isatty())  # type: ignore[no-any-return]

    def get_model_info(self) -> dict[str, Any]:
        """Nothing: lm-eval would ask a hub about the model, which DVC's manifests identify already."""
        return {}

    def continuation_tokens(self, context: str, continuation: str) -> int:
        """How many tokens lm-eval scores for a request."""
        return len(self._encode_pair(context, continuation)[1])

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        sequences = []
        for _, prompt, option in requests:
            kept = prompt[-max(1, self.max_length - len(option) + 1) :]
            sequences.append(Encoded((*kept, *option), (Span(len(kept), len(kept) + len(option), 1.0),)))
        return self._score_all(sequences)

    def _score_all(self, sequences: Sequence[Encoded]) -> list[tuple[float, bool]]:
        questions: dict[tuple[int, ...], _Question] = {}
        for number, sequence in enumerate(sequences):
            prompt = sequence.tokens[: sequence.prompt_length]
            questions.setdefault(prompt, _Question(prompt)).options.append((number, sequence))
        packs: list[list[_Question]] = []
        most = PACK_TOKENS if self.model.device.type == "cpu" else PACK_TOKENS_OF_GPU
        for question in sorted(questions.values(), key=lambda question: -question.length):
            room = most - question.length
            if packs and len(packs[-1]) < int(self.batch_size) and sum(own.length for own in packs[-1]) <= room:
                packs[-1].append(question)
            else:
                packs.append([question])
        answers: dict[int, tuple[float, bool]] = {}
        scores = Cores(self.model.device).each(self._score, packs, _halves)
        for scored in track(scores, "evaluating", "batch", len(packs)):
            answers |= scored
        return [answers[number] for number in range(len(sequences))]

    @torch.no_grad()
    def _score(self, pack: Sequence[_Question]) -> dict[int, tuple[float, bool]]:
        tokens: list[int] = []
        positions: list[int] = []
        block: list[int] = []  # which question a token belongs to
        branch: list[int] = []  # which of its options; 0 for the prompt, which all of them see
        predicting: list[int] = []
        targets: list[int] = []
        weights: list[float] = []
        spans: list[tuple[int, int, int]] = []
        for number, question in enumerate(pack):
            start, length = len(tokens), len(question.prompt)
            tokens += question.prompt
            positions += range(length)
            branch += [0] * length
            for n, (index, option) in enumerate(question.options, start=1):
                spans.append((index, len(targets), len(targets) + option.response_length))
                first = len(tokens) - length  # a place of the option stands this far behind in the pack
                predicting += [start + length - 1 if place == length else first + place - 1 for place in option.places]
                targets += [option.tokens[place] for place in option.places]
                weights += option.weights
                tokens += option.tokens[length:-1]
                positions += range(length, len(option.tokens) - 1)
                branch += [n] * (len(option.tokens) - 1 - length)
            block += [number] * (len(tokens) - start)
        device = self.model.device
        of_block, of_branch = torch.tensor(block, device=device), torch.tensor(branch, device=device)
        sees = (of_block[:, None] == of_block) & ((of_branch == 0) | (of_branch[:, None] == of_branch))
        sees &= torch.ones_like(sees).tril()
        mask = torch.zeros(sees.shape, dtype=self.model.dtype, device=device).masked_fill(
            ~sees, torch.finfo(self.model.dtype).min
        )
        logits = self.model(
            input_ids=torch.tensor([tokens], device=device),
            attention_mask=mask[None, None],
            position_ids=torch.tensor([positions], device=device),
            logits_to_keep=torch.tensor(predicting, device=device),
            use_cache=False,
        ).logits[0]
        wanted = torch.tensor(targets, device=device)
        chosen = torch.log_softmax(logits.float(), dim=-1).gather(1, wanted[:, None])[:, 0].double()
        chosen *= torch.tensor(weights, dtype=torch.float64, device=device)
        greedy = logits.argmax(dim=-1) == wanted
        return {index: (float(chosen[a:b].sum()), bool(greedy[a:b].all())) for index, a, b in spans}
