"""What a coalition's tuning costs: LoRA on the top layers from hidden states that were computed once.

In: a model, the encoded records that may be in a coalition, the encoded dev records, and a scoring `Regime`.
Out: `CoalitionTrainer.utility(weights)`, the dev utility after tuning on the records by their weights.

All coalitions share their randomness: the same initial LoRA weights and the same batches, from which absent records are
dropped. A step's loss is the sum of its present records' losses over the response tokens of the *whole* batch, so that a
difference between two coalitions is their members and nothing else. The layers below the LoRA weights are the same for
every coalition: their output is kept for each record, and the vocabulary head runs on response positions only.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shed.errors import ShedError
from shed.progress import track
from shed.prompts import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MEASURE_BATCH = 32
LAYER_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Regime:
    """The cheap training that utilities are measured in.

    Attributes:
        depth: how many top layers carry LoRA weights; None for all.
        r, alpha, modules: LoRA rank, scale (alpha / r) and the names of the linear layers that it is added to.
        optimizer, lr, momentum: SGD with momentum, or AdamW without weight decay whose first beta is `momentum`.
        batch_size: records a step before absent ones are dropped.
        epochs: passes over the records.
        seed: of initial weights and batches.
    """

    depth: int | None
    r: int
    alpha: int
    modules: Sequence[str]
    optimizer: Literal["sgd", "adamw"]
    lr: float
    momentum: float
    batch_size: int
    epochs: int
    seed: int


@dataclass(frozen=True)
class _Prepared:
    """One record's hidden states (L, D) below the tuned layers, its response's positions' targets, and where it begins."""

    hidden: Tensor
    targets: Tensor
    start: int


class CoalitionTrainer:
    """Tunes and measures coalitions of records without loading anything twice.

    Args:
        model: a causal language model of the Llama shape (`model.layers`, `model.norm`, `model.rotary_emb`, `lm_head`).
            It is changed: LoRA weights are added to its top layers.
        members: the records that coalitions are made of, N of them.
        dev: the records that utility is measured on.

    Raises:
        ShedError: the model is of another shape, has fewer layers than the regime's depth, or the dev records hold no
            response token.
    """

    def __init__(self, model: "PreTrainedModel", members: Sequence[Encoded], dev: Sequence[Encoded], regime: Regime) -> None:
        if sum(record.response_length for record in dev) == 0:
            raise ShedError("the dev records hold no response token, so there is no utility to measure")
        self.regime = regime
        decoder = _decoder(model)
        depth = len(decoder.layers) if regime.depth is None else regime.depth
        if depth > len(decoder.layers):
            raise ShedError(f"score.tuning.depth is {depth}, but the model has {len(decoder.layers)} layers")
        self._rotary, self._norm, self._head = decoder.rotary_emb, decoder.norm, model.lm_head
        self._device, self._dtype = model.device, model.dtype
        self._layers = list(decoder.layers)[-depth:]
        below = list(decoder.layers)[:-depth]
        self._members = self._below(decoder.embed_tokens, below, members)
        self._dev = self._below(decoder.embed_tokens, below, dev)
        self._check_shape(model, members[0], self._members[0])
        self._parameters = _add_lora(model, regime, range(len(decoder.layers) - depth, len(decoder.layers)))
        self._initial = [parameter.detach().clone() for parameter in self._parameters]
        self._batches = length_batches(
            [len(record.tokens) for record in members], regime.batch_size, regime.epochs, regime.seed
        )
        self._dev_batches = length_batches([len(record.tokens) for record in dev], MEASURE_BATCH, 1, 0)
        self._lengths = np.array([len(record.tokens) for record in members])
        self._dev_tokens = sum(len(record.tokens) for record in dev)

    def utility(self, weights: np.ndarray) -> float:
        """Dev utility, −(mean nats per response token), after tuning on the members by `weights`.

        Args:
            weights: (N,) float, what each record's loss is multiplied with; 0 leaves it out.

        Returns:
            NaN or −inf where the tuning diverged.
        """
        with torch.no_grad():
            for parameter, initial in zip(self._parameters, self._initial, strict=True):
                parameter.copy_(initial)
        optimizer = self._optimizer()
        for batch in self._batches:
            present = [i for i in batch if weights[i] != 0]
            if not present:
                continue
            whole = sum(len(self._members[i].targets) for i in batch)
            losses = self._losses([self._members[i] for i in present])
            scale = torch.tensor([weights[i] / whole for i in present], dtype=losses.dtype, device=losses.device)
            optimizer.zero_grad()
            (losses @ scale).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return -self._dev_loss()

    def fine_tune_equivalents(self, weights: np.ndarray) -> float:
        """The cost of `utility(weights)` in FTE: work for these records and dev, over work for all records and dev.

        A tuned token counts twice a measured one: with the layers' own weights frozen, the backward pass has one product for
        each of the forward pass's.
        """
        tuned = 2.0 * self.regime.epochs * self._lengths
        return float((tuned[weights != 0].sum() + self._dev_tokens) / (tuned.sum() + self._dev_tokens))

    def _optimizer(self) -> torch.optim.Optimizer:
        regime = self.regime
        if regime.optimizer == "sgd":
            return torch.optim.SGD(self._parameters, lr=regime.lr, momentum=regime.momentum)
        return torch.optim.AdamW(self._parameters, lr=regime.lr, betas=(regime.momentum, 0.999), weight_decay=0.0)

    @torch.no_grad()
    def _dev_loss(self) -> float:
        """Mean nats per dev response token."""
        total = sum(float(self._losses([self._dev[i] for i in batch]).double().sum()) for batch in self._dev_batches)
        return total / sum(len(record.targets) for record in self._dev)

    def _losses(self, records: Sequence[_Prepared]) -> Tensor:
        """(B,) float32: each record's nats, summed over its response tokens.

        Sequences are padded on the right; under causal attention no real position sees the padding, so no mask is needed.
        """
        hidden = self._top(nn.utils.rnn.pad_sequence([record.hidden for record in records], batch_first=True))
        answers = [hidden[b, record.start : record.start + len(record.targets)] for b, record in enumerate(records)]
        logits = self._head(self._norm(torch.cat(answers))).float()
        nats = nn.functional.cross_entropy(logits, torch.cat([record.targets for record in records]), reduction="none")
        parts = torch.split(nats, [len(record.targets) for record in records])
        return torch.stack([part.sum() for part in parts])

    def _top(self, hidden: Tensor) -> Tensor:
        return _through(self._layers, hidden, self._rotary)

    @torch.no_grad()
    def _below(self, embed: nn.Module, layers: Sequence[nn.Module], records: Sequence[Encoded]) -> list[_Prepared]:
        """Run the layers below the tuned ones, once for each record, in batches of equal length."""
        prepared: dict[int, _Prepared] = {}
        batches = length_batches([len(record.tokens) for record in records], MEASURE_BATCH, 1, 0)
        for batch in track(batches, "hidden states", "batch"):
            tokens = [torch.tensor(records[i].tokens, device=self._device) for i in batch]
            hidden = _through(layers, embed(nn.utils.rnn.pad_sequence(tokens, batch_first=True)), self._rotary)
            for b, i in enumerate(batch):
                start = records[i].prompt_length
                prepared[i] = _Prepared(hidden[b, : len(tokens[b])].clone(), tokens[b][start:], start - 1)
        return [prepared[i] for i in range(len(records))]

    @torch.no_grad()
    def _check_shape(self, model: "PreTrainedModel", record: Encoded, prepared: _Prepared) -> None:
        """Refuse a model whose own forward pass is more than embeddings, layers, norm and head."""
        own = model(torch.tensor([record.tokens], device=self._device)).logits[0, -1].float()
        ours = self._head(self._norm(self._top(prepared.hidden[None])))[0, -1].float()
        if float((own - ours).abs().max()) > LAYER_TOLERANCE * float(own.abs().max()):
            raise ShedError(
                f"{type(model).__name__} does more than embeddings, layers, norm and head; use a Llama-shaped model"
            )


def length_batches(lengths: Sequence[int], batch_size: int, epochs: int, seed: int) -> list[list[int]]:
    """Batches of similar length, each index once an epoch; ties and the order of batches are drawn anew each epoch."""
    rng = random.Random(seed)
    batches: list[list[int]] = []
    for _ in range(epochs):
        order = sorted(range(len(lengths)), key=lambda i: (lengths[i], rng.random()))
        epoch = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        rng.shuffle(epoch)
        batches += epoch
    return batches


def _through(layers: Sequence[nn.Module], hidden: Tensor, rotary: nn.Module) -> Tensor:
    """(B, L, D) to (B, L, D) through decoder layers, at positions 0 to L - 1, with causal attention."""
    positions = rotary(hidden, torch.arange(hidden.shape[1], device=hidden.device)[None])
    for layer in layers:
        hidden = layer(hidden, attention_mask=None, position_embeddings=positions)
    return hidden


def _decoder(model: "PreTrainedModel") -> "PreTrainedModel":
    decoder = getattr(model, "model", None)
    needed = ("embed_tokens", "layers", "norm", "rotary_emb")
    if not all(hasattr(decoder, name) for name in needed) or not hasattr(model, "lm_head"):
        raise ShedError(f"{type(model).__name__} is not of the Llama shape (model.layers, model.norm, lm_head)")
    return decoder


def _add_lora(model: "PreTrainedModel", regime: Regime, layers: range) -> list[nn.Parameter]:
    """Add LoRA weights to the named modules of the given layers, and return them as the only trainable parameters.

    Raises:
        ShedError: no layer has a module of these names.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=regime.r,
        lora_alpha=regime.alpha,
        target_modules=list(regime.modules),
        layers_to_transform=list(layers),
        lora_dropout=0.0,
    )
    model.requires_grad_(False)
    torch.manual_seed(regime.seed)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ShedError(f"score.tuning.modules: the model has no layers named {', '.join(regime.modules)}") from error
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
