"""The tuned part of a model: its top layers with LoRA weights, from hidden states that were computed once.

In: a model, the records that may be tuned on, the dev set. Out: each record's loss, and what each dev record adds to utility,
as functions of flat vectors of LoRA weights, so that training and its derivative are plain functions of vectors.

The layers below the LoRA weights are the same whatever was tuned: their output is kept for each record, and the vocabulary
head runs on response positions only. Records under the LoRA weights of several coalitions go through the layers together: a
product of few rows is slow, and the layers' own weights are everyone's. The coalitions' LoRA weights stand side by side, as one
LoRA of as many times the rank, of which each record sees its own coalition's part.
"""

import copy
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
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
DEV_BATCH = 12
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
    """Losses of records as functions of the LoRA weights (K, P) of K coalitions.

    Args:
        model: a causal language model of the Llama shape (`model.layers`, `model.norm`, `model.rotary_emb`, `lm_head`), whose
            layers may differ in their attention as Gemma 3's do. It is changed: LoRA weights are added to its top layers.
        members: the records that may be tuned on, N of them.
        dev: the records that utility is measured on, and the kind of utility.
        bystanders: records that are never tuned on, whose losses may be asked for as members N, N + 1, …

    Attributes:
        initial: (P,) the LoRA weights before tuning, at least float32; `redrawn` gives others.
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
        _check_window(model, [*self._members, *self._dev])
        self._check_shape(model, members[0], self._members[0])
        _add_lora(model, lora, range(total - depth, total))
        self._top.narrow_lora()
        self._rank = lora.r
        named = {name: parameter for name, parameter in self._top.named_parameters() if parameter.requires_grad}
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self._wide = torch.promote_types(model.dtype, torch.float32)  # small steps would be lost in a narrow dtype
        self.initial = self._flat_lora()
        longest = [max(len(sequence.tokens) for sequence in record) for record in dev.records]
        widest = max(len(record) for record in dev.records)
        batches = length_batches(longest, max(1, DEV_BATCH // widest), 1, 0)
        self.dev_batches = sorted(batches, key=lambda batch: -max(longest[i] for i in batch))

    def redrawn(self, seed: int) -> Tensor:
        """(P,) other LoRA weights before tuning, by PEFT's own initialisation."""
        from peft.tuners.lora import LoraLayer

        torch.manual_seed(seed)
        for module in self._top.modules():
            if isinstance(module, LoraLayer):
                module.reset_lora_parameters("default", True)
        return self._flat_lora()

    def _flat_lora(self) -> Tensor:
        found = [parameter.detach().flatten() for parameter in self._top.parameters() if parameter.requires_grad]
        return torch.cat(found).to(self._wide)

    @property
    def matrix_sizes(self) -> list[int]:
        """How many of the P weights each LoRA matrix has, in their order."""
        return [shape.numel() for shape in self._shapes.values()]

    def response_tokens(self, members: Sequence[int]) -> int:
        """How many response tokens these members have together."""
        return sum(len(self._members[i].targets) for i in members)

    def member_losses(self, weights: Tensor, members: np.ndarray, coalitions: np.ndarray) -> Tensor:
        """(B,) nats of each of these members, summed over its response tokens.

        Args:
            weights: (K, P) LoRA weights.
            members, coalitions: (B,) int, members and for each the row of `weights` that it is under.
        """
        return self._losses(weights, [self._members[i] for i in members], coalitions)

    def dev_terms(self, weights: Tensor, records: Sequence[int]) -> Tensor:
        """(B,) what each of these dev records adds to the utility of LoRA weights (P,)."""
        sequences = self._dev_set.sequences_of(records)
        nats = self._losses(weights[None], [self._dev[i] for i in sequences], np.zeros(len(sequences), dtype=int))
        return self._dev_set.terms(nats, records)

    def _losses(self, weights: Tensor, records: Sequence[Prepared], coalitions: np.ndarray) -> Tensor:
        """Sequences are padded on the right; under causal attention no real position sees the padding: no mask is needed."""
        stack = self._stack()
        stack.see(coalitions, len(weights), self._rank, weights)
        flat = torch.split(weights, self.matrix_sizes, dim=1)
        parts = [part.view(-1, *shape) for shape, part in zip(self._shapes.values(), flat, strict=True)]
        named = {name: _side_by_side(part, name) for name, part in zip(self._shapes, parts, strict=True)}
        padded = nn.utils.rnn.pad_sequence([record.hidden for record in records], batch_first=True)
        hidden = torch.func.functional_call(stack, named, (padded,))
        answers = [hidden[b, record.start : record.start + len(record.targets)] for b, record in enumerate(records)]
        logits = self._head(self._norm(torch.cat(answers)))
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        nats = nn.functional.cross_entropy(wide, torch.cat([record.targets for record in records]), reduction="none")
        return torch.stack([part.sum() for part in torch.split(nats, [len(record.targets) for record in records])])

    def _stack(self) -> "_Stack":
        """The layers as modules of this thread alone: a functional call changes them in passing. Tensors are shared."""
        if not hasattr(self._of_thread, "stack"):
            shared = {id(tensor): tensor for tensor in (*self._top.parameters(), *self._top.buffers())}
            self._of_thread.stack = copy.deepcopy(self._top, shared)
        own: _Stack = self._of_thread.stack
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
    """Decoder layers, (B, L, D) to (B, L, D), at positions 0 to L - 1, with causal attention.

    Where the model has several kinds of attention, each has positions of its own.
    """

    def __init__(self, layers: Sequence[nn.Module], rotary: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.rotary = rotary
        self._seen: Tensor | None = None

    def narrow_lora(self) -> None:
        """From now on let each record see its own coalition's part of the LoRA weights alone; `see` says which."""
        for name, module in self.named_modules():
            if ".lora_B." in name:
                module.register_forward_pre_hook(self._own_part)

    def see(self, coalitions: np.ndarray, count: int, rank: int, like: Tensor) -> None:
        """Let record b, in the next pass, see the weights of `coalitions[b]` out of `count` that stand side by side."""
        self._seen = None
        if count > 1:
            own = torch.eye(count, dtype=like.dtype, device=like.device)[coalitions]
            self._seen = own.repeat_interleave(rank, dim=1)[:, None]

    def _own_part(self, _: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return inputs if self._seen is None else (inputs[0] * self._seen,)

    def forward(self, hidden: Tensor) -> Tensor:
        places = torch.arange(hidden.shape[1], device=hidden.device)[None]
        kinds = getattr(self.rotary, "layer_types", None)
        positions = {kind: self.rotary(hidden, places, kind) for kind in kinds} if kinds else self.rotary(hidden, places)
        for layer in self.layers:
            own = positions[str(layer.get_submodule("self_attn").layer_type)] if kinds else positions
            hidden = layer(hidden, attention_mask=None, position_embeddings=own)
        return hidden


def _side_by_side(weights: Tensor, name: str) -> Tensor:
    """The LoRA matrices of K coalitions, (K, r, in) or (K, out, r), as one, (K r, in) or (out, K r)."""
    if ".lora_A." in name:
        return weights.reshape(-1, weights.shape[-1])
    return weights.movedim(0, 1).reshape(weights.shape[1], -1)


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


def _check_window(model: "PreTrainedModel", prepared: Sequence[Prepared]) -> None:
    """Refuse records that some layer would not see as a whole."""
    kinds, longest = getattr(model.config, "layer_types", None) or (), max(len(record.hidden) for record in prepared)
    if "sliding_attention" in kinds and longest > model.config.sliding_window:
        raise ShedError(
            f"a record has {longest} tokens, and some of the model's layers attend to the last {model.config.sliding_window}; "
            f"set model.max_tokens to that"
        )


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
