"""A base model and its adapter as one model, for programs that load no adapters.

In: the base's name and an adapter folder. Out: a folder that `from_pretrained` takes, with the tokenizer.
"""

from pathlib import Path

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError
from shed.models.loading import load_tokenizer, locate


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
        ShedError: there is no adapter, it is not of this base, or the folder cannot be written.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    if not (adapter / "adapter_config.json").is_file():
        raise ShedError(f"{adapter}: this folder holds no adapter (no adapter_config.json); tune one")
    where = locate(spec_name)
    stored = AutoConfig.from_pretrained(where, revision=revision).dtype or torch.float32
    base = AutoModelForCausalLM.from_pretrained(where, revision=revision, dtype=torch.float32)
    try:
        tuned = PeftModel.from_pretrained(base, adapter)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ShedError(
            f"{adapter}: this adapter does not fit {spec_name} ({reason}); give the base that it was tuned on"
        ) from error
    merged = tuned.merge_and_unload().to(stored)
    with replacing(folder) as temporary:
        merged.save_pretrained(temporary)
        load_tokenizer(spec_name, revision).save_pretrained(temporary)
