"""Which linear layers get LoRA weights, by the names that a user gives.

In: a causal language model, also one without weights on the meta device, and names. Out: names for PEFT that match these layers
of its decoder and nothing else.
"""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shed.common.errors import ShedError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ALL_LINEAR = "all-linear"
DECODER_PARTS = ("embed_tokens", "layers", "norm", "rotary_emb")


def decoder_of(model: "PreTrainedModel") -> "PreTrainedModel":
    """The part that reads text: embeddings, layers, norm and rotary positions. A model may have others, such as for images.

    Raises:
        ShedError: the model is of another shape.
    """
    inner = getattr(model, "model", None)
    decoder = getattr(inner, "language_model", inner)
    if not all(hasattr(decoder, name) for name in DECODER_PARTS) or not hasattr(model, "lm_head"):
        raise ShedError(
            f"{type(model).__name__} is not of the Llama shape (model.layers, model.norm, lm_head); use a model of that family",
            "model",
        )
    return decoder


def lora_modules(model: "PreTrainedModel", modules: Sequence[str], layers: range | None = None) -> list[str]:
    """PEFT's `target_modules` for these names, each as it was given where PEFT would match the decoder's linear layers alone.

    Args:
        modules: ends of names, such as `q_proj` or `self_attn.q_proj`, or `all-linear`, which is each linear layer of the
            decoder, as PEFT has it: all but the output head.
        layers: the decoder's layers that are tuned; None for all.

    Returns:
        names in the order given, none twice; of `all-linear`, last parts of names in the model's order.

    Raises:
        ShedError: a name matches no linear layer there.
    """
    linear, others = _linear_layers(model, layers)
    found = list(dict.fromkeys(name.rpartition(".")[2] for name in linear))
    if [name.lower() for name in modules] == [ALL_LINEAR]:
        modules = found
    wanted: dict[str, None] = {}
    for name in modules:
        own = [path for path in linear if _matches(path, name)]
        if not own:
            raise _unknown(name, found)
        wanted |= dict.fromkeys(own if any(_matches(path, name) for path in others) else [name])
    return list(wanted)


def _linear_layers(model: "PreTrainedModel", layers: range | None) -> tuple[list[str], list[str]]:
    """Paths of the linear layers in these decoder layers; of all else that a name may match and must not.

    Layers that are not tuned are neither: PEFT leaves them out by their number.
    """
    from torch import nn

    decoder = decoder_of(model)
    inside = {id(part): number for number, layer in enumerate(decoder.layers) for part in layer.modules()}
    linear, others = [], []
    for path, part in model.named_modules():
        number = inside.get(id(part))
        if number is None or not isinstance(part, nn.Linear):
            others.append(path)
        elif layers is None or number in layers:
            linear.append(path)
    return linear, others


def _matches(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _unknown(name: str, found: Sequence[str]) -> ShedError:
    if name.lower() == ALL_LINEAR:
        return ShedError(f"{name} names all linear layers; give it alone", "LoRA modules")
    close = difflib.get_close_matches(name, found, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    known = ", ".join(found)
    return ShedError(f"the model has no linear layers named {name} that can be tuned{hint}; it has {known}", "LoRA modules")
