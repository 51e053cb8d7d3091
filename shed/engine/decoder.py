"""A model's decoder in parts: the layers that are tuned, and what the layers below them make of each record, once.

In: a causal language model of the Llama shape and encoded records. Out: its layers as a module, and hidden states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.engine.batches import length_batches
from shed.models.encoding import Encoded
from shed.models.specs import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_BATCH = 32


@dataclass(frozen=True)
class CachedStates:
    """One record's hidden states (L, D) below the tuned layers, its response's targets, and where their predictors begin."""

    hidden: Tensor
    targets: Tensor
    start: int


class DecoderLayers(nn.Module):
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


@torch.no_grad()
def hidden_states(
    embed: nn.Module, below: DecoderLayers, records: Sequence[Encoded], device: torch.device
) -> list[CachedStates]:
    """Run the layers below the tuned ones, once for each record, in batches of similar length."""
    cached: dict[int, CachedStates] = {}
    batches = length_batches([len(record.tokens) for record in records], HIDDEN_BATCH, 1, 0)
    for batch in track(batches, "hidden states", "batch"):
        tokens = [torch.tensor(records[i].tokens, device=device) for i in batch]
        hidden = below(embed(nn.utils.rnn.pad_sequence(tokens, batch_first=True)))
        for b, i in enumerate(batch):
            start = records[i].prompt_length
            cached[i] = CachedStates(hidden[b, : len(tokens[b])].clone(), tokens[b][start:], start - 1)
    return [cached[i] for i in range(len(records))]


def check_window(model: "PreTrainedModel", cached: Sequence[CachedStates]) -> None:
    """Refuse records that some layer would not see as a whole."""
    kinds, longest = getattr(model.config, "layer_types", None) or (), max(len(record.hidden) for record in cached)
    if "sliding_attention" in kinds and longest > model.config.sliding_window:
        raise ShedError(
            f"a record has {longest} tokens, and some of the model's layers attend to the last "
            f"{model.config.sliding_window}; set the context length to at most that",
            "context length",
        )


def decoder_of(model: "PreTrainedModel") -> "PreTrainedModel":
    decoder = getattr(model, "model", None)
    needed = ("embed_tokens", "layers", "norm", "rotary_emb")
    if not all(hasattr(decoder, name) for name in needed) or not hasattr(model, "lm_head"):
        raise ShedError(
            f"{type(model).__name__} is not of the Llama shape (model.layers, model.norm, lm_head); use a model of that family",
            "model",
        )
    return decoder


def add_lora(model: "PreTrainedModel", lora: LoraSettings, seed: int, layers: range) -> None:
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
    torch.manual_seed(seed)
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ShedError(f"the model has no linear layers named {', '.join(lora.modules)}", "LoRA modules") from error
