"""The merged model answers as the adapter does on its base."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed.common.errors import ShedError
from shed.models.loading import load_model
from shed.tuning.merging import merge


@pytest.fixture
def adapter(tiny_model: str, tmp_path: Path) -> Path:
    """An adapter whose weights are far from zero."""
    torch.manual_seed(1)
    tuned = get_peft_model(
        load_model(tiny_model), LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    )
    for name, weight in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    tuned.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        answer: torch.Tensor = model(torch.arange(1, 60)[None]).logits.float()
    return answer


def test_the_merged_model_has_the_adapters_logits(tiny_model: str, adapter: Path, tmp_path: Path) -> None:
    merge(tiny_model, adapter, tmp_path / "merged")
    expected = logits(PeftModel.from_pretrained(load_model(tiny_model), adapter))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(merged), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(logits(load_model(tiny_model)), expected, atol=0.1)
    known, saved = (AutoTokenizer.from_pretrained(folder) for folder in (tiny_model, tmp_path / "merged"))
    assert saved.encode("a<end>b") == known.encode("a<end>b")
    assert saved.chat_template == known.chat_template


def test_it_is_saved_as_the_base_is_stored(tiny_model: str, adapter: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(tiny_model).to(torch.bfloat16).save_pretrained(base)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(base)
    merge(str(base), adapter, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert {weight.dtype for weight in merged.parameters()} == {torch.bfloat16}
    exact = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    exact = exact.merge_and_unload()
    for rounded, one in zip(merged.parameters(), exact.parameters(), strict=True):
        assert torch.equal(rounded, one.to(torch.bfloat16))  # rounded once, after the sum


def test_what_is_no_adapter_of_this_base_is_refused(tiny_model: str, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="this folder holds no adapter"):
        merge(tiny_model, tmp_path, tmp_path / "merged")
    other = AutoModelForCausalLM.from_pretrained(tiny_model).config
    other.hidden_size, other.head_dim = 64, 16
    AutoModelForCausalLM.from_config(other).save_pretrained(tmp_path / "other")
    with pytest.raises(ShedError, match=r"this adapter does not fit .*other"):
        merge(str(tmp_path / "other"), adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
