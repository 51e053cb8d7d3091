"""Whether a model can be used, found out before its weights are read.

In: what the model is asked to be. Out: what makes the model's tokens, or an error in one line.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.models.encoding import Encoder
from shed.models.loading import load_embedder, load_tokenizer, loading, locate
from shed.models.lora import decoder_of, lora_modules
from shed.models.specs import LoraSettings, ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_LAYERS = 2000  # making the layers of a config takes time and memory, though they have no weights


def skeleton(name: str, revision: str | None = None) -> "PreTrainedModel":
    """The causal language model without its weights, on the meta device; made from its config in a second or less.

    Raises:
        ShedError: the config cannot be read, or is of no causal language model that transformers has.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    where = locate(name)
    with loading(name, "config"):
        config = AutoConfig.from_pretrained(where, revision=revision, trust_remote_code=False)
        layers = config.get_text_config().num_hidden_layers
        if not 0 < layers <= MOST_LAYERS:
            raise ValueError(f"{layers} layers, which no model has")
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def check_model(spec: ModelSpec, loras: Iterable[LoraSettings] = ()) -> Encoder:
    """Refuse a model that cannot be scored and tuned as asked, from its config and tokenizer alone.

    Args:
        loras: where LoRA weights go, of each tuning.

    Returns:
        how records become its tokens.

    Raises:
        ShedError: the config or the tokenizer cannot be read, the tokenizer is no fast one, has no chat template for the chat
            form or belongs to another model, the model is not of the Llama shape, some of its layers do not see a whole
            context, or it has fewer layers than a `depth` or no linear layer of a name.
    """
    tokenizer, model = load_tokenizer(spec.where, spec.revision), skeleton(spec.where, spec.revision)
    decoder, config = decoder_of(model), model.config.get_text_config()
    encoder = Encoder(tokenizer, spec.form, spec.max_tokens, config.max_position_embeddings)
    if tokenizer.vocab_size > config.vocab_size:
        raise ShedError(
            f"{spec.name}: its tokenizer has {tokenizer.vocab_size} tokens and the model {config.vocab_size}; "
            "save the model with its own tokenizer",
            "model",
        )
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) and encoder.limit > config.sliding_window:
        raise ShedError(
            f"some of the model's layers attend to the last {config.sliding_window} tokens, and the context is of "
            f"{encoder.limit}; set it to at most that",
            "context length",
        )
    total = len(decoder.layers)
    for lora in loras:
        if lora.depth is not None and lora.depth > total:
            raise ShedError(f"LoRA weights are asked for in {lora.depth} layers, but the model has {total}", "LoRA depth")
        lora_modules(model, lora.modules, None if lora.depth is None else range(total - lora.depth, total))
    return encoder


def check_embedder(name: str, revision: str | None = None) -> None:
    """Refuse an embedder that cannot be loaded; embedders are small, so it is loaded and asked for one vector.

    Raises:
        ShedError: it is so, or it gives something else than one vector a text.
    """
    embedder = load_embedder(name, revision)
    with loading(name, "embedder"):
        vectors = embedder.encode(["a text"], show_progress_bar=False)
    if getattr(vectors, "ndim", 0) != 2 or len(vectors) != 1:
        raise ShedError(f"{name}: gives no single vector of numbers for a text; use another embedder", "embedder")


def templated(encoder: Encoder, records: Iterable[Record]) -> int:
    """How many records' texts spell a control token of the tokenizer, as those do that a template has written already."""
    texts = ("\n".join(turn.text for turn in record.messages) for record in records)
    return sum(bool(encoder.renderer.control_tokens.search(text)) for text in texts)


MANY_CUT = 0.5  # the share of cut records from which on a split is warned of


def check_cut(split: str, lengths: Mapping[str, float], limit: int) -> str | None:
    """Refuse a split of which nothing fits the context.

    Args:
        split: its name.
        lengths: as `token_lengths` gives them.
        limit: the longest sequence, in tokens.

    Returns:
        A warning if most of its records are cut, else None.

    Raises:
        ShedError: all of them are.
    """
    if lengths["share_cut"] == 1:
        raise ShedError(
            f"the {split}: every record is longer than the context of {limit} tokens, so that all would be cut; "
            "raise it as far as the model goes, or shorten the records",
            "context length",
        )
    if lengths["share_cut"] > MANY_CUT:
        return f"{lengths['share_cut']:.0%} of the records are longer than the context of {limit} tokens and are cut; raise it"
    return None
