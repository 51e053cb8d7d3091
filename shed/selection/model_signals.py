"""What the untuned model makes of records: its loss on each response, with and without the prompt, and its hidden states.

In: records and a base model. Out: `ModelSignals`, from which perplexity, IFD and likeness to dev follow, without any tuning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shed.common.progress import track
from shed.data.records import Record
from shed.models.encoding import Encoded, Span, beginning
from shed.models.loading import load_language_model
from shed.models.lora import decoder_of
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BATCH_TOKENS = 2048
BLOCK_NUMBERS = 1 << 23  # of a block's rows × dev rows matrix: 64 MiB


@dataclass(frozen=True)
class ModelSignals:
    """Of N records.

    Attributes:
        loss: (N,) float64, mean nats per response token after the prompt.
        loss_alone: (N,) float64, the same after the beginning token alone, or the end token where there is none.
        states: (N, D) float32 unit rows, last hidden states averaged with weights that grow with the position
            (RDS+, arXiv 2503.01807).
        tokens: how many were read.
    """

    loss: np.ndarray
    loss_alone: np.ndarray
    states: np.ndarray
    tokens: int

    @property
    def ifd(self) -> np.ndarray:
        """(N,) instruction-following difficulty: how much of the loss the prompt leaves (Cherry LLM, arXiv 2308.12032)."""
        return np.asarray(self.loss / self.loss_alone)


def read(records: Sequence[Record], spec: ModelSpec) -> ModelSignals:
    """Read each record twice, whole and its response alone; batches are of one length or nearly."""
    loaded = load_language_model(spec)
    model, encoder = loaded.model, loaded.encoder
    whole = encoder.encode_all(records, end=False)
    start = beginning(encoder.tokenizer) or [int(encoder.tokenizer.eos_token_id)]
    alone = [_alone(one, start) for one in whole]
    loss, states = _read(model, whole, "reading records")
    loss_alone, _ = _read(model, alone, "reading responses alone")
    return ModelSignals(loss, loss_alone, states, sum(len(one.tokens) for one in [*whole, *alone]))


def _alone(whole: Encoded, start: Sequence[int]) -> Encoded:
    """The responses of a record without what stands before them."""
    spans: list[Span] = []
    tokens = [*start]
    for first, last, weight in whole.spans:
        spans.append(Span(len(tokens), len(tokens) + last - first, weight))
        tokens += whole.tokens[first:last]
    return Encoded(tuple(tokens), tuple(spans))


def nearest_rank(states: np.ndarray, dev_states: np.ndarray) -> np.ndarray:
    """(N,) scores of rows taken in turn by each dev row's nearest: a row's best rank over dev, negative; cosine breaks ties."""
    rows, each = len(states), max(1, BLOCK_NUMBERS // max(1, len(states)))
    likest, best = np.full(rows, -np.inf), np.full(rows, rows)
    for start in range(0, len(dev_states), each):
        cosines = (states @ dev_states[start : start + each].T).astype(np.float64)
        np.maximum(likest, cosines.max(axis=1), out=likest)
        for column in cosines.T:
            order = (-column).argsort(kind="stable")
            best[order] = np.minimum(best[order], np.arange(rows))
    return np.asarray(likest / 4 - best)


@torch.no_grad()
def _read(model: "PreTrainedModel", encoded: Sequence[Encoded], what: str) -> tuple[np.ndarray, np.ndarray]:
    losses = np.empty(len(encoded))
    states = np.empty((len(encoded), model.config.get_text_config().hidden_size), dtype=np.float32)
    for batch in track(_batches([len(one.tokens) for one in encoded]), what, "batch"):
        longest = max(len(encoded[i].tokens) for i in batch)
        tokens, mask = torch.zeros(len(batch), longest, dtype=torch.long), torch.zeros(len(batch), longest)
        for row, i in enumerate(batch):
            tokens[row, : len(encoded[i].tokens)] = torch.tensor(encoded[i].tokens)
            mask[row, : len(encoded[i].tokens)] = 1
        tokens, mask = tokens.to(model.device), mask.to(model.device)
        hidden = decoder_of(model)(input_ids=tokens, attention_mask=mask).last_hidden_state
        place = torch.arange(1, longest + 1, device=mask.device) * mask
        pooled = ((place / place.sum(dim=1, keepdim=True))[:, :, None] * hidden).sum(dim=1).float()
        states[batch] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        for row, i in enumerate(batch):
            one = encoded[i]
            places, weights = torch.tensor(one.places, device=model.device), torch.tensor(one.weights, device=model.device)
            logits = model.lm_head(hidden[row, places - 1]).float()
            nats = torch.nn.functional.cross_entropy(logits, tokens[row, places], reduction="none")
            losses[i] = float((nats * weights).sum() / weights.sum())
    return losses, states


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices by length, as many together as have BATCH_TOKENS with padding."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[i] <= BATCH_TOKENS:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
