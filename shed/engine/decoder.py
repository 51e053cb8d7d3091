"""A model's decoder in parts: the layers that are tuned, and what the layers below them make of each record, once.

In: a causal language model of the Llama shape and encoded records. Out: its layers as a module, and hidden states.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.engine.batches import length_batches, split
from shed.engine.recompute import again
from shed.models.encoding import Encoded
from shed.models.lora import lora_modules
from shed.models.specs import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_BATCH, HIDDEN_TOKENS = 32, 8192  # records, and tokens with padding, that go through the lower layers at once


@dataclass(frozen=True)
class CachedStates:
    """One record below the tuned layers.

    Attributes:
        tokens: (L,) the whole sequence.
        hidden: (L, D) hidden states; None where no layer is below, since embeddings are looked up as fast as they are read.
        targets: (R,) the tokens whose loss counts.
        predictors: (R,) the places that predict them.
        weights: (R,) float64, what the loss of each counts.
    """

    tokens: Tensor
    hidden: Tensor | None
    targets: Tensor
    predictors: Tensor
    weights: Tensor


class DecoderLayers(nn.Module):
    """Decoder layers, (B, L, D) to (B, L, D), at positions 0 to L - 1, with causal attention.

    Where the model has several kinds of attention, each has positions of its own.

    Attributes:
        recompute: keep each layer's input alone for the backward pass and run the layer again there, which takes a third more
            time.
    """

    def __init__(self, layers: Sequence[nn.Module], rotary: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.rotary = rotary
        self._seen: Tensor | None = None
        self.recompute = False

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
            run = self._again if self.recompute else _run
            hidden = run(layer, hidden, own)
        return hidden

    def _again(self, layer: nn.Module, hidden: Tensor, positions: object) -> Tensor:
        """LoRA weights go in as arguments, since a functional call has taken them out of the layer when it runs again."""
        lora = {name: weights for name, weights in layer.named_parameters() if ".lora_" in name}

        def run(hidden: Tensor, *weights: Tensor) -> Tensor:
            named, more = dict(zip(lora, weights, strict=True)), {"attention_mask": None, "position_embeddings": positions}
            found: Tensor = torch.func.functional_call(layer, named, (hidden,), more)
            return found

        return again(run, hidden, *lora.values())


def _run(layer: nn.Module, hidden: Tensor, positions: object) -> Tensor:
    after: Tensor = layer(hidden, attention_mask=None, position_embeddings=positions)
    return after


@torch.no_grad()
def hidden_states(
    embed: nn.Module, below: DecoderLayers, records: Sequence[Encoded], device: torch.device
) -> list[CachedStates]:
    """Run the layers below the tuned ones, if there are any, once for each record, in batches of similar length."""
    cached = [_without_hidden(record, device) for record in records]
    if not len(below.layers):
        return cached
    lengths = [len(record.tokens) for record in records]
    batches = split(length_batches(lengths, HIDDEN_BATCH, 1, 0), lengths, HIDDEN_TOKENS)
    for batch in track(batches, "hidden states", "batch"):
        hidden = below(embed(nn.utils.rnn.pad_sequence([cached[i].tokens for i in batch], batch_first=True)))
        for b, i in enumerate(batch):
            cached[i] = replace(cached[i], hidden=hidden[b, : lengths[i]].clone())
    return cached


def _without_hidden(record: Encoded, device: torch.device) -> CachedStates:
    tokens, places = torch.tensor(record.tokens, device=device), torch.tensor(record.places, device=device)
    weights = torch.tensor(record.weights, dtype=torch.float64, device=device)
    return CachedStates(tokens, None, tokens[places], places - 1, weights)


def check_window(model: "PreTrainedModel", cached: Sequence[CachedStates]) -> None:
    """Refuse records that some layer would not see as a whole."""
    config, longest = model.config.get_text_config(), max(len(record.tokens) for record in cached)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) and longest > config.sliding_window:
        raise ShedError(
            f"a record has {longest} tokens, and some of the model's layers attend to the last "
            f"{config.sliding_window}; set the context length to at most that",
            "context length",
        )


def add_lora(model: "PreTrainedModel", lora: LoraSettings, seed: int, layers: range) -> None:
    """Add seeded LoRA weights, the only trainable parameters, to the named modules of these layers.

    Raises:
        ShedError: one of the names matches no linear layer there.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        target_modules=lora_modules(model, lora.modules, layers),
        layers_to_transform=list(layers),
        lora_dropout=0.0,
    )
    model.requires_grad_(False)
    torch.manual_seed(seed)
    inject_adapter_in_model(config, model)
