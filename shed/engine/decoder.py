"""A model's decoder in parts: the layers that are tuned, and what the layers below them make of each record, once.

In: a causal language model of the Llama shape and encoded records. Out: its layers as a module, and hidden states.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.engine.batches import length_batches, split
from shed.engine.recompute import again
from shed.engine.texts import CAUSAL, Attention, Text, attention_of
from shed.models.lora import lora_modules
from shed.models.specs import LoraSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_BATCH, HIDDEN_TOKENS = 32, 8192  # records, and tokens with padding, that go through the lower layers at once
HIDDEN_BYTES = 2**30  # of hidden states that are kept of one set of records; of a larger set none are


class DecoderLayers(nn.Module):
    """Decoder layers, (B, L, D) to (B, L, D), with causal attention at positions 0 to L - 1, or as `Attention` says.

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

    def forward(self, hidden: Tensor, attention: Attention = CAUSAL) -> Tensor:
        places = torch.arange(hidden.shape[1], device=hidden.device)[None] if attention.places is None else attention.places
        kinds = getattr(self.rotary, "layer_types", None)
        positions = {kind: self.rotary(hidden, places, kind) for kind in kinds} if kinds else self.rotary(hidden, places)
        for layer in self.layers:
            own = positions[str(layer.get_submodule("self_attn").layer_type)] if kinds else positions
            run = self._again if self.recompute else _run
            hidden = run(layer, hidden, {"attention_mask": attention.mask, "position_embeddings": own})
        return hidden

    def _again(self, layer: nn.Module, hidden: Tensor, more: dict[str, Any]) -> Tensor:
        """LoRA weights go in as arguments, since a functional call has taken them out of the layer when it runs again."""
        lora = {name: weights for name, weights in layer.named_parameters() if ".lora_" in name}

        def run(hidden: Tensor, *weights: Tensor) -> Tensor:
            named = dict(zip(lora, weights, strict=True))
            found: Tensor = torch.func.functional_call(layer, named, (hidden,), more)
            return found

        return again(run, hidden, *lora.values())


def _run(layer: nn.Module, hidden: Tensor, more: dict[str, Any]) -> Tensor:
    after: Tensor = layer(hidden, **more)
    return after


@torch.no_grad()
def hidden_states(embed: nn.Module, below: DecoderLayers, texts: Sequence[Text]) -> list[Text]:
    """The texts with what the layers below the tuned ones make of them, in batches of similar length.

    As they are where no layer is below, since embeddings are looked up as fast as they are read, and where hidden states of all
    would take more than HIDDEN_BYTES: then these layers run again each time.
    """
    lengths = [len(text.tokens) for text in texts]
    if not len(below.layers) or not texts:
        return list(texts)
    one = embed(texts[0].tokens[:1])
    if sum(lengths) * one.numel() * one.element_size() > HIDDEN_BYTES:
        return list(texts)
    found = list(texts)
    batches = split(length_batches(lengths, HIDDEN_BATCH, 1, 0), lengths, HIDDEN_TOKENS)
    for batch in track(batches, "hidden states", "batch"):
        hidden = lower_states(embed, below, [texts[i] for i in batch])
        for b, i in enumerate(batch):
            found[i] = replace(texts[i], hidden=hidden[b, : lengths[i]].clone())
    return found


@torch.no_grad()
def lower_states(embed: nn.Module, below: DecoderLayers, texts: Sequence[Text]) -> Tensor:
    """(B, L, D) what goes into the tuned layers, with padding on the right."""
    if texts[0].hidden is not None:
        return nn.utils.rnn.pad_sequence([text.hidden for text in texts if text.hidden is not None], batch_first=True)
    embedded: Tensor = embed(nn.utils.rnn.pad_sequence([text.tokens for text in texts], batch_first=True))
    found: Tensor = below(embedded, attention_of(texts, embedded.dtype)) if len(below.layers) else embedded
    return found


def window_of(model: "PreTrainedModel") -> int | None:
    """How many tokens some layer attends to at most; None if all attend to all before them."""
    config = model.config.get_text_config()
    return int(config.sliding_window) if "sliding_attention" in (getattr(config, "layer_types", None) or ()) else None


def check_window(window: int | None, longest: int) -> None:
    """Refuse records that some layer would not see as a whole."""
    if window is not None and longest > window:
        raise ShedError(
            f"a record has {longest} tokens, and some of the model's layers attend to the last {window}; set the context "
            "length to at most that",
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
