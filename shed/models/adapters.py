"""A tuned adapter on its base model.

In: a loaded model, and a folder as PEFT saves it, ours or another trainer's. Out: the model with the adapter's layers in it.
LoRA alone is read, from safetensors alone; no setting that asks for more is passed over, and no weight is left to chance.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.errors import ShedError
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad, told_in_one_line
from shed.data.formats.yaml_text import utf8

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
READ = {  # where the layers are, how they are added, and what is only told
    "alpha_pattern",
    "base_model_name_or_path",
    "bias",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "r",
    "rank_pattern",
    "revision",
    "target_modules",
    "task_type",
    "use_dora",
    "use_rslora",
}
MOST_BYTES = 1_000_000  # of the settings
MOST_REASON = 200  # characters of a library's message


def with_adapter(model: "PreTrainedModel", adapter: Path, base: str) -> "PeftModel":
    """Put an adapter on a model, whose own weights stay as they are.

    Args:
        model: loaded.
        adapter: a folder with adapter_config.json and adapter_model.safetensors.
        base: the model's name, for messages.

    Raises:
        ShedError: there is no adapter, it is not LoRA or asks for more than that, it does not fit the model, or weights are
            missing, damaged, infinite or NaN.
    """
    import torch
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors import safe_open

    check_adapter(adapter)
    try:
        tuned = PeftModel.from_pretrained(model, str(adapter))
        needed = get_peft_model_state_dict(tuned, save_embedding_layers=False)
        with safe_open(adapter / WEIGHTS, "pt") as file:
            held = set(file.keys())
    except Exception as error:  # PEFT hands on what wrong settings run into, and safetensors raises the base class itself
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_REASON]
        raise _refused(
            adapter, f"this adapter does not fit {base} ({reason}); give the base that it was tuned on, or tune it again"
        ) from error
    if differing := sorted({*needed} - held | held - {*needed, *tuned.state_dict()}):  # PEFT would take it with a warning
        found = f"{len(differing)} are missing or of no layer, such as {differing[0]!r:.200}"
        raise _refused(adapter, f"its weights are not those of its settings ({found}); tune it again")
    if not all(bool(torch.isfinite(weight).all()) for weight in needed.values()):
        raise _refused(adapter, "one of its weights is infinite or NaN; tune it again")
    return tuned


def check_adapter(adapter: Path) -> None:
    """Look at an adapter's files before a model is loaded for it, and before a library reads them.

    Raises:
        ShedError: there is no adapter, it is not LoRA, or its settings ask for more than that.
    """
    for name in (SETTINGS, WEIGHTS):
        if not (adapter / name).is_file():
            raise _refused(adapter, f"this folder holds no adapter (no {name}); tune one")
    from peft import LoraConfig

    settings, usual = _settings(adapter / SETTINGS), LoraConfig().to_dict()
    if (kind := settings.get("peft_type")) != "LORA":
        raise _refused(adapter, f"peft_type is {kind!r:.50}; only 'LORA' is read")
    if more := sorted(name for name, value in settings.items() if name not in READ and value and value != usual.get(name)):
        raise _refused(adapter, f"its {SETTINGS} sets {more[0]!r:.50}, which is not read; tune one without it")


def _settings(path: Path) -> dict[str, Any]:
    with told_in_one_line(path), path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ShedError(f"{path}: more than {MOST_BYTES:,} bytes, which is no adapter's settings", "adapter")
    settings = parse_object(utf8(content, str(path)))
    if isinstance(settings, Bad):
        raise ShedError(f"{path}: {settings.reason}; tune the adapter again", "adapter")
    return settings


def _refused(adapter: Path, why: str) -> ShedError:
    return ShedError(f"{adapter}: {why}", "adapter")
