"""A base model and its adapter as one model, for programs that load no adapters.

In: the base's name and an adapter folder. Out: a folder that `from_pretrained` takes, with the tokenizer.
"""

from pathlib import Path

from shed.common.atomic_io import replacing
from shed.models.adapters import with_adapter
from shed.models.loading import load_tokenizer, loading, locate


def merge(spec_name: str, adapter: Path, folder: Path, revision: str | None = None) -> None:
    """Add the adapter to the base's weights and save them as `folder`, in place of what was there.

    The sum is taken in float32 and saved in the dtype in which the base is stored. From float32 nothing is lost; where that is
    bfloat16, each sum is rounded to 8 significant bits, so that an update below 1/512 of a weight may leave it as it was, and
    answers differ a little from those of the adapter on its base.

    Args:
        spec_name: the base's name, as in params.
        adapter: what the final tuning saved.
        folder: where to.
        revision: of a base on the hub.

    Raises:
        ShedError: there is no adapter, it is not of this base or cannot be read, or the folder cannot be written.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    where = locate(spec_name)
    with loading(spec_name, "model"):
        stored = AutoConfig.from_pretrained(where, revision=revision, trust_remote_code=False).dtype or torch.float32
        base = AutoModelForCausalLM.from_pretrained(
            where, revision=revision, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    merged = with_adapter(base, adapter, spec_name).merge_and_unload().to(stored)
    with replacing(folder) as temporary:
        merged.save_pretrained(temporary)
        load_tokenizer(spec_name, revision).save_pretrained(temporary)
