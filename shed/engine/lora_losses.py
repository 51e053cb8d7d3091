"""Losses of records as functions of LoRA weights: the tuned layers of a model, from hidden states that were computed once.

In: a model, the records that may be tuned on, the dev set. Out: each record's loss, and what each dev record adds to utility,
as functions of flat vectors of LoRA weights, so that training and its derivative are plain functions of vectors.

The layers below the LoRA weights are the same whatever was tuned: their output is kept for each record, and the vocabulary
head runs on response positions only. Records under the LoRA weights of several coalitions go through the layers together: a
product of few rows is slow, and the layers' own weights are everyone's. The coalitions' LoRA weights stand side by side, as one
LoRA of as many times the rank, of which each record sees its own coalition's part.
"""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from shed.common.errors import ShedError
from shed.engine.batches import DevPart, length_batches, split
from shed.engine.decoder import DecoderLayers, add_lora, check_window, hidden_states, lower_states, window_of
from shed.engine.recompute import again
from shed.engine.texts import Text, attention_of, text_of, texts_of
from shed.engine.utility import DevSet
from shed.models.attention import SHORT, attention_for
from shed.models.encoding import Encoded
from shed.models.lora import decoder_of
from shed.models.parallel import Cores
from shed.models.specs import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEAD_TOKENS = 128  # that go through the vocabulary head at once: their logits are the largest tensors of all
DEV_BATCH, DEV_TOKENS = 12, 1024  # dev sequences, and tokens with padding, that are measured at once
LAYER_TOLERANCE, ROUNDINGS = 1e-2, 16  # the share that logits may differ by: more where a dtype's own roundings are more


class LoraLosses:
    """Losses of records as functions of the LoRA weights (K, P) of K coalitions.

    Args:
        model: a causal language model of the Llama shape (`model.layers`, `model.norm`, `model.rotary_emb`, `lm_head`), whose
            layers may differ in their attention as Gemma 3's do. It is changed: LoRA weights are added to its top layers.
        members: the records that may be tuned on, N of them.
        dev: the records that utility is measured on, and the kind of utility.
        lora: where LoRA weights go.
        seed: of their initial values.
        candidates: records that are never tuned on, whose losses may be asked for as members N, N + 1, …

    Attributes:
        initial: (P,) the LoRA weights before tuning, at least float32; `redrawn` gives others.
        cores: what works on parts of a batch at once; losses may be asked for in each of its threads.
        longest_dev: tokens of the longest dev text.
        dev_length: tokens of all dev texts; options that share a prompt have it once.
        dev_sums: of how many sums utility is made: one, or one for each task where the least gain among tasks counts.
        recomputes: True while layers are run again for the backward pass, since sequences are long.

    Raises:
        ShedError: the model is of another shape, or has fewer layers than the depth or none of the modules.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        members: Sequence[Encoded],
        dev: DevSet,
        lora: LoraSettings,
        seed: int,
        candidates: Sequence[Encoded] = (),
    ) -> None:
        self._dev_set = dev
        decoder = decoder_of(model)
        total = len(decoder.layers)
        depth = total if lora.depth is None else lora.depth
        if depth > total:
            raise ShedError(f"LoRA weights are asked for in {depth} layers, but the model has {total}", "LoRA depth")
        self._embed, self._norm, self._head = decoder.embed_tokens, decoder.norm, model.lm_head
        self.cores = Cores(model.device)
        self._of_thread, self.recomputes = threading.local(), False
        self._top = DecoderLayers(list(decoder.layers)[-depth:], decoder.rotary_emb)
        self._below = DecoderLayers(list(decoder.layers)[:-depth], decoder.rotary_emb)
        self._response_tokens = [record.response_weight for record in [*members, *candidates]]
        self._window, self._device = window_of(model), model.device
        check_window(self._window, max(len(one.tokens) for one in [*members, *candidates, *dev.sequences]))
        own = [text_of(record, model.device) for record in [*members, *candidates]]
        self._members = hidden_states(decoder.embed_tokens, self._below, own)
        questions = [texts_of(options, model.device) for options in dev.records]
        texts = iter(hidden_states(decoder.embed_tokens, self._below, [text for texts in questions for text in texts]))
        self._dev = [[next(texts) for _ in one] for one in questions]
        self._check_shape(model, self._members[0])
        add_lora(model, lora, seed, range(total - depth, total))
        self._top.narrow_lora()
        self._rank = lora.r
        named = {name: parameter for name, parameter in self._top.named_parameters() if parameter.requires_grad}
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self._wide = torch.promote_types(model.dtype, torch.float32)  # small steps would be lost in a narrow dtype
        self.initial = self._flat_lora()
        longest = [max(len(text.tokens) for text in one) for one in self._dev]
        widest = max(map(len, self._dev))
        self.longest_dev, self.dev_length = max(longest), sum(len(text.tokens) + 1 for one in self._dev for text in one)
        padded = [own * len(one) for own, one in zip(longest, self._dev, strict=True)]
        batches = [
            (task, batch)
            for task, own in enumerate(dev.by_task)
            for batch in split(_batches(own, longest, max(1, DEV_BATCH // widest)), padded, DEV_TOKENS)
        ]
        self.dev_sums = len(dev.by_task)
        self._dev_batches = sorted(batches, key=lambda batch: -max(longest[i] for i in batch[1]))

    @contextmanager
    def backward_pass(self, longest: int) -> Iterator[None]:
        """While losses are differentiated, of sequences of at most so many tokens: kernels and memory that suit this.

        Not for several calls at once.
        """
        self.recomputes = longest > SHORT
        try:
            with attention_for(self.initial.device, longest):
                yield
        finally:
            self.recomputes = False

    def dev_parts(self, rows: int) -> list[DevPart]:
        """All dev records under each of so many rows of LoRA weights, in parts of similar length, the longest first."""
        return [DevPart(row, task, batch) for task, batch in self._dev_batches for row in range(rows)]

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

    def response_tokens(self, members: Sequence[int]) -> float:
        """How many response tokens these members have together, each as much as its loss counts."""
        return sum(self._response_tokens[i] for i in members)

    def member_losses(self, weights: Tensor, members: np.ndarray, coalitions: np.ndarray) -> Tensor:
        """(B,) nats of each of these members, summed over its response tokens, each as much as it counts.

        Args:
            weights: (K, P) LoRA weights.
            members, coalitions: (B,) int, members and for each the row of `weights` that it is under.
        """
        texts = [self._members[i] for i in members]
        return self._losses(weights, texts, coalitions, self._lower(texts))

    def losses_at(self, points: Tensor, records: Sequence[Encoded]) -> Tensor:
        """(E, B) nats of each of these records, as `member_losses`, at each of the LoRA weights (E, P).

        What the points share, the layers below the tuned ones, runs once.
        """
        check_window(self._window, max(len(record.tokens) for record in records))
        texts, first = [text_of(record, self._device) for record in records], np.zeros(len(records), dtype=int)
        lower = self._lower(texts)
        return torch.stack([self._losses(point[None], texts, first, lower) for point in points])

    def dev_terms(self, weights: Tensor, records: Sequence[int]) -> Tensor:
        """(B,) what each of these dev records adds to the utility of LoRA weights (P,)."""
        texts = [text for i in records for text in self._dev[i]]
        nats = self._losses(weights[None], texts, np.zeros(len(texts), dtype=int), self._lower(texts))
        return self._dev_set.terms(nats, records)

    def _lower(self, texts: Sequence[Text]) -> Tensor:
        return lower_states(self._embed, self._below, texts)

    def _losses(self, weights: Tensor, texts: Sequence[Text], coalitions: np.ndarray, lower: Tensor) -> Tensor:
        """Texts are padded on the right; under causal attention no real position sees the padding: no mask is needed."""
        stack = self._stack()
        stack.see(coalitions, len(weights), self._rank, weights)
        stack.recompute = self.recomputes and torch.is_grad_enabled()
        flat = torch.split(weights, self.matrix_sizes, dim=1)
        parts = [part.view(-1, *shape) for shape, part in zip(self._shapes.values(), flat, strict=True)]
        named = {name: _side_by_side(part, name) for name, part in zip(self._shapes, parts, strict=True)}
        hidden = torch.func.functional_call(stack, named, (lower, attention_of(texts, lower.dtype)))
        answers = [hidden[b, text.predictors] for b, text in enumerate(texts)]
        states = torch.split(torch.cat(answers), HEAD_TOKENS)
        targets = torch.split(torch.cat([text.targets for text in texts]), HEAD_TOKENS)
        of_head = self._nats_again if stack.recompute else self._nats
        nats = torch.cat([of_head(*own) for own in zip(states, targets, strict=True)])
        nats = nats * torch.cat([text.weights for text in texts]).to(nats)
        return torch.stack([part.sum() for part in torch.split(nats, [count for text in texts for count in text.counts])])

    def _nats(self, states: Tensor, targets: Tensor) -> Tensor:
        """(T,) nats of these tokens after the last layer's states (T, D)."""
        logits = self._head(self._norm(states))
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return nn.functional.cross_entropy(wide, targets, reduction="none")

    def _nats_again(self, states: Tensor, targets: Tensor) -> Tensor:
        """The same, whose logits are computed again for the backward pass and not kept."""
        return again(partial(self._nats, targets=targets), states)

    def _stack(self) -> DecoderLayers:
        """The layers as modules of this thread alone: a functional call changes them in passing. Tensors are shared."""
        if not hasattr(self._of_thread, "stack"):
            shared = {id(tensor): tensor for tensor in (*self._top.parameters(), *self._top.buffers())}
            self._of_thread.stack = copy.deepcopy(self._top, shared)
        own: DecoderLayers = self._of_thread.stack
        return own

    @torch.no_grad()
    def _check_shape(self, model: "PreTrainedModel", text: Text) -> None:
        """Refuse a model whose own forward pass is more than embeddings, layers, norm and head."""
        own = model(text.tokens[None]).logits[0, -1].float()
        ours = self._head(self._norm(self._top(self._lower([text]))))[0, -1].float()
        tolerance = max(LAYER_TOLERANCE, ROUNDINGS * torch.finfo(model.dtype).eps)
        if float((own - ours).abs().max()) > tolerance * float(own.abs().max()):
            raise ShedError(
                f"{type(model).__name__} does more than embeddings, layers, norm and head, which is all that scoring runs; "
                "use a model of the Llama family",
                "model",
            )


def _batches(records: list[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """Some records in batches of similar length."""
    return [[records[i] for i in batch] for batch in length_batches([lengths[i] for i in records], size, 1, 0)]


def _side_by_side(weights: Tensor, name: str) -> Tensor:
    """The LoRA matrices of K coalitions, (K, r, in) or (K, out, r), as one, (K r, in) or (out, K r)."""
    if ".lora_A." in name:
        return weights.reshape(-1, weights.shape[-1])
    return weights.movedim(0, 1).reshape(weights.shape[1], -1)
