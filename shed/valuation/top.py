"""The tuned part of a model: its top layers with LoRA weights, from hidden states that were computed once.

In: a model, the records that may be tuned on, the dev set. Out: each record's loss, and what each dev record adds to utility,
as functions of one flat vector of LoRA weights, so that training and its derivative are plain functions of vectors.

The layers below the LoRA weights are the same whatever was tuned: their output is kept for each record, and the vocabulary
head runs on response positions only.
"""

import copy
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from shed.cores import Cores
from shed.errors import ShedError
from shed.progress import track
from shed.prompts import Encoded
from shed.valuation.utility import DevSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_BATCH = 32
DEV_BATCH = 8
LAYER_TOLERANCE, ROUNDINGS = 1e-2, 16  # the share that logits may differ by: more where a dtype's own roundings are more


@dataclass(frozen=True)
class Prepared:
    """One record's hidden states (L, D) below the tuned layers, its response's targets, and where their predictors begin."""

    hidden: Tensor
    targets: Tensor
    start: int


@dataclass(frozen=True)
class Lora:
    """Where LoRA weights go: `depth` top layers (None: all), linear layers called `modules`, rank `r`, scale `alpha` / r."""

    depth: int | None
    r: int
    alpha: int
    modules: Sequence[str]
    seed: int


class TopLayers:
    """Losses of records as functions of the LoRA weights.

    Args:
        model: a causal language model of the Llama shape (`model.layers`, `model.norm`, `model.rotary_emb`, `lm_head`).
            It is changed: LoRA weights are added to its top layers.
        members: the records that may be tuned on, N of them.
        dev: the records that utility is measured on, and the kind of utility.
        bystanders: records that are never tuned on, whose losses may be asked for as members N, N + 1, …

    Attributes:
        initial: (P,) the LoRA weights before tuning, at least float32.
        cores: what works on parts of a batch at once; losses may be asked for in each of its threads.
        dev_batches: the dev records, batched by length, the longest first.

    Raises:
        ShedError: the model is of another shape, or has fewer layers than the depth or none of the modules.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        members: Sequence[Encoded],
        dev: DevSet,
        lora: Lora,
        bystanders: Sequence[Encoded] = (),
    ) -> None:
        self._dev_set = dev
        decoder = _decoder(model)
        total = len(decoder.layers)
        depth = total if lora.depth is None else lora.depth
        if depth > total:
            raise ShedError(f"score.tuning.depth is {depth}, but the model has {total} layers")
        self._norm, self._head = decoder.norm, model.lm_head
        self.cores = Cores(model.device)
        self._of_thread = threading.local()
        self._top = _Stack(list(decoder.layers)[-depth:], decoder.rotary_emb)
        below = _Stack(list(decoder.layers)[:-depth], decoder.rotary_emb)
        self._members = _hidden_states(decoder.embed_tokens, below, [*members, *bystanders], model.device)
        self._dev = _hidden_states(decoder.embed_tokens, below, dev.sequences, model.device)
        self._check_shape(model, members[0], self._members[0])
        _add_lora(model, lora, range(total - depth, total))
        named = {name: parameter for name, parameter in self._top.named_parameters() if parameter.requires_grad}
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        wide = torch.promote_types(model.dtype, torch.float32)  # small steps would be lost in a narrow dtype
        self.initial = torch.cat([parameter.detach().flatten() for parameter in named.values()]).to(wide)
        longest = [max(len(sequence.tokens) for sequence in record) for record in dev.records]
        widest = max(len(record) for record in dev.records)
        batches = length_batches(longest, max(1, DEV_BATCH // widest), 1, 0)
        self.dev_batches = sorted(batches, key=lambda batch: -max(longest[i] for i in batch))

    def response_tokens(self, members: Sequence[int]) -> int:
        """How many response tokens these members have together."""
        return sum(len(self._members[i].targets) for i in members)

    def member_losses(self, weights: Tensor, members: Sequence[int]) -> Tensor:
        """(B,) nats of each of these members, summed over its response tokens, under LoRA `weights` (P,)."""
        return self._losses(weights, [self._members[i] for i in members])

    def dev_terms(self, weights: Tensor, records: Sequence[int]) -> Tensor:
        """(B,) what each of these dev records adds to utility."""
        nats = self._losses(weights, [self._dev[i] for i in self._dev_set.sequences_of(records)])
        return self._dev_set.terms(nats, records)

    def _losses(self, weights: Tensor, records: Sequence[Prepared]) -> Tensor:
        """Sequences are padded on the right; under causal attention no real position sees the padding: no mask is needed."""
        flat = torch.split(weights, [shape.numel() for shape in self._shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), flat, strict=True)}
        padded = nn.utils.rnn.pad_sequence([record.hidden for record in records], batch_first=True)
        hidden = torch.func.functional_call(self._stack(), named, (padded,))
        answers = [hidden[b, record.start : record.start + len(record.targets)] for b, record in enumerate(records)]
        logits = self._head(self._norm(torch.cat(answers)))
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        nats = nn.functional.cross_entropy(wide, torch.cat([record.targets for record in records]), reduction="none")
        return torch.stack([part.sum() for part in torch.split(nats, [len(record.targets) for record in records])])

    def _stack(self) -> nn.Module:
        """The layers as modules of this thread alone: a functional call changes them in passing. Tensors are shared."""
        if not hasattr(self._of_thread, "stack"):
            shared = {id(tensor): tensor for tensor in (*self._top.parameters(), *self._top.buffers())}
            self._of_thread.stack = copy.deepcopy(self._top, shared)
        own: nn.Module = self._of_thread.stack
        return own

    @torch.no_grad()
    def _check_shape(self, model: "PreTrainedModel", record: Encoded, prepared: Prepared) -> None:
        """Refuse a model whose own forward pass is more than embeddings, layers, norm and head."""
        own = model(torch.tensor([record.tokens], device=model.device)).logits[0, -1].float()
        ours = self._head(self._norm(self._top(prepared.hidden[None])))[0, -1].float()
        tolerance = max(LAYER_TOLERANCE, ROUNDINGS * torch.finfo(model.dtype).eps)
        if float((own - ours).abs().max()) > tolerance * float(own.abs().max()):
            raise ShedError(f"{type(model).__name__} does more than embeddings, layers, norm and head; use a Llama model")


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


class _Stack(nn.Module):
    """Decoder layers, (B, L, D) to (B, L, D), at positions 0 to L - 1, with causal attention."""

    def __init__(self, layers: Sequence[nn.Module], rotary: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.rotary = rotary

    def forward(self, hidden: Tensor) -> Tensor:
        positions = self.rotary(hidden, torch.arange(hidden.shape[1], device=hidden.device)[None])
        for layer in self.layers:
            hidden = layer(hidden, attention_mask=None, position_embeddings=positions)
        return hidden


@torch.no_grad()
def _hidden_states(embed: nn.Module, below: _Stack, records: Sequence[Encoded], device: torch.device) -> list[Prepared]:
    """Run the layers below the tuned ones, once for each record, in batches of similar length."""
    prepared: dict[int, Prepared] = {}
    batches = length_batches([len(record.tokens) for record in records], HIDDEN_BATCH, 1, 0)
    for batch in track(batches, "hidden states", "batch"):
        tokens = [torch.tensor(records[i].tokens, device=device) for i in batch]
        hidden = below(embed(nn.utils.rnn.pad_sequence(tokens, batch_first=True)))
        for b, i in enumerate(batch):
            start = records[i].prompt_length
            prepared[i] = Prepared(hidden[b, : len(tokens[b])].clone(), tokens[b][start:], start - 1)
    return [prepared[i] for i in range(len(records))]


def _decoder(model: "PreTrainedModel") -> "PreTrainedModel":
    decoder = getattr(model, "model", None)
    needed = ("embed_tokens", "layers", "norm", "rotary_emb")
    if not all(hasattr(decoder, name) for name in needed) or not hasattr(model, "lm_head"):
        raise ShedError(f"{type(model).__name__} is not of the Llama shape (model.layers, model.norm, lm_head)")
    return decoder


def _add_lora(model: "PreTrainedModel", lora: Lora, layers: range) -> None:
    """Add seeded LoRA weights, the only trainable parameters, to the named modules of these layers."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        target_modules=list(lora.modules),
        layers_to_transform=list(layers),
        lora_dropout=0.0,
    )
    model.requires_grad_(False)
    torch.manual_seed(lora.seed)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ShedError(f"score.tuning.modules: the model has no layers named {', '.join(lora.modules)}") from error
