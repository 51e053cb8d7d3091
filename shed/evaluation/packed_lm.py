"""An lm-eval model that reads each question once, however many options it has.

In: lm-eval's log-likelihood requests. Out: the same answers as lm-eval's own `HFLM`, at a fraction of the tokens.

Several questions stand in one sequence: a question's prompt, then its options one after the other. The attention mask lets an
option see its prompt and itself alone, and its positions follow the prompt's, so that each option is scored as if it
stood there by itself. Only positions that predict an option's token go through the vocabulary head.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from shed.common.progress import track
from shed.models.parallel import Cores

Request = tuple[tuple[str, str], list[int], list[int]]


@dataclass
class _Question:
    """One prompt and the requests that share it: (index of the request, its option's tokens)."""

    prompt: tuple[int, ...]
    options: list[tuple[int, list[int]]] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.prompt) + sum(len(option) - 1 for _, option in self.options)


class PackedLM(HFLM):  # type: ignore[misc]
    """`HFLM` whose `loglikelihood` packs `batch_size` questions into one sequence."""

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm or not sys.stderr.isatty())  # type: ignore[no-any-return]

    def get_model_info(self) -> dict[str, Any]:
        """Nothing: lm-eval would ask a hub about the model, which DVC's manifests identify already."""
        return {}

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        questions: dict[tuple[int, ...], _Question] = {}
        for index, (_, prompt, option) in enumerate(requests):
            room = max(1, self.max_length - len(option) + 1)
            cut = tuple(prompt[-room:])
            questions.setdefault(cut, _Question(cut)).options.append((index, option))
        ordered = sorted(questions.values(), key=lambda question: -question.length)
        size = int(self.batch_size)
        packs = [ordered[at : at + size] for at in range(0, len(ordered), size)]
        answers: dict[int, tuple[float, bool]] = {}
        for scored in track(Cores(self.model.device).each(self._score, packs), "evaluating", "batch", len(packs)):
            answers |= scored
        return [answers[index] for index in range(len(requests))]

    @torch.no_grad()
    def _score(self, pack: Sequence[_Question]) -> dict[int, tuple[float, bool]]:
        tokens: list[int] = []
        positions: list[int] = []
        block: list[int] = []  # which question a token belongs to
        branch: list[int] = []  # which of its options; 0 for the prompt, which all of them see
        predicting: list[int] = []
        targets: list[int] = []
        spans: list[tuple[int, int, int]] = []
        for number, question in enumerate(pack):
            start = len(tokens)
            end = start + len(question.prompt) - 1
            tokens += question.prompt
            positions += range(len(question.prompt))
            branch += [0] * len(question.prompt)
            for n, (index, option) in enumerate(question.options, start=1):
                spans.append((index, len(targets), len(targets) + len(option)))
                predicting += [end, *range(len(tokens), len(tokens) + len(option) - 1)]
                targets += option
                tokens += option[:-1]
                positions += range(len(question.prompt), len(question.prompt) + len(option) - 1)
                branch += [n] * (len(option) - 1)
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
        greedy = logits.argmax(dim=-1) == wanted
        return {index: (float(chosen[a:b].sum()), bool(greedy[a:b].all())) for index, a, b in spans}
