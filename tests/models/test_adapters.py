"""Adapters from anywhere: what fits is put on its base, and whatever is spoilt is one line."""

import copy
import json
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from soaking import times

from shed.common.errors import ShedError
from shed.models.adapters import SETTINGS, WEIGHTS, with_adapter
from shed.models.loading import load_model

VALUES = [None, 0, 1, -1, 1e308, True, "x", "LORA", "PREFIX_TUNING", "all-linear", ".*" * 50, "(", [], ["x"], [1], {}, {"a": 1}]
PIECES = [b"null", b"-1", b'"x"', b"[", b"{", b"[" * 5000, b'"', b"\xff", b"\0", b"9" * 5000, b"1e999", b"NaN", b",", b":", b""]


@pytest.fixture(scope="module")
def base(tiny_model: str) -> Any:
    return load_model(tiny_model)


def saved(base: Any, folder: Path, **settings: Any) -> Path:
    """An adapter whose weights are far from zero."""
    torch.manual_seed(1)
    config = LoraConfig(**{"r": 4, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM", **settings})
    with warnings.catch_warnings(action="ignore"):
        tuned = get_peft_model(copy.deepcopy(base), config)
    for name, weight in tuned.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    tuned.save_pretrained(folder)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        answer: torch.Tensor = model(torch.arange(1, 60)[None]).logits.float()
    return answer


def test_any_bytes_of_an_adapter_are_read_or_refused_in_one_line(base: Any, tmp_path: Path) -> None:
    good, rng, said = saved(base, tmp_path / "good"), random.Random(3), list[str]()
    for _ in range(times(40, "adapters with settings and bytes put in, taken out and changed")):
        shutil.rmtree(tmp_path / "bad", ignore_errors=True)
        bad = shutil.copytree(good, tmp_path / "bad")
        if rng.random() < 0.5:
            settings = json.loads((bad / SETTINGS).read_text())
            settings[rng.choice([*settings, "more"])] = rng.choice(VALUES)
            (bad / SETTINGS).write_text(json.dumps(settings))
        else:
            path = bad / rng.choice([SETTINGS, WEIGHTS])
            content = bytearray(path.read_bytes())
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(min(len(content), 2000) + 1)
                content[at : at + rng.choice([0, 1, 5, 40, 5000])] = rng.choice([rng.choice(PIECES), rng.randbytes(3)])
            path.write_bytes(content)
        try:
            assert logits(with_adapter(copy.deepcopy(base), bad, "base")).isfinite().all()
        except ShedError as error:
            said.append(str(error))
    assert len(said) > 20
    assert not [one for one in said if "\n" in one or len(one) > 600]


@pytest.mark.parametrize(
    "settings",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 16}},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"layers_to_transform": [0]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_an_adapter_of_another_trainer_is_what_peft_makes_of_it(base: Any, tmp_path: Path, settings: dict[str, Any]) -> None:
    """Such as TRL's, which the judge may compare with."""
    adapter = saved(base, tmp_path, **settings)
    expected = logits(PeftModel.from_pretrained(copy.deepcopy(base), adapter))
    assert torch.equal(logits(with_adapter(copy.deepcopy(base), adapter, "base")), expected)
    assert not torch.allclose(logits(base), expected, atol=0.05)


def change(spoil: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def changed(adapter: Path) -> None:
        weights = load_file(adapter / WEIGHTS)
        spoil(weights)
        save_file(weights, adapter / WEIGHTS)

    return changed


def setting(**values: Any) -> Callable[[Path], None]:
    def changed(adapter: Path) -> None:
        path = adapter / SETTINGS
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return changed


def pickled(adapter: Path) -> None:
    torch.save(load_file(adapter / WEIGHTS), adapter / "adapter_model.bin")
    (adapter / WEIGHTS).unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(lambda weights: weights.pop(sorted(weights)[0])), "its weights are not those of its settings .1 are missing"),
        (change(lambda weights: weights.update(more=torch.ones(2))), "not those of its settings .1 .*such as 'more'"),
        (change(lambda weights: weights[sorted(weights)[3]].fill_(torch.inf)), "one of its weights is infinite or NaN"),
        (setting(r=8), "does not fit base .RuntimeError: .*size mismatch"),
        (setting(target_modules=["none"]), "does not fit base .NoMatchingPeftModuleError: Target modules .*none"),
        (setting(peft_type="VERA"), "peft_type is 'VERA'; only 'LORA' is read"),
        (setting(lora_bias=True), "sets 'lora_bias', which is not read; tune one without it"),
        (setting(megatron_core="payload", megatron_config={"a": 1}), "sets 'megatron_config', which is not read"),
        (pickled, "this folder holds no adapter .no adapter_model.safetensors"),
        (lambda adapter: (adapter / SETTINGS).write_text('{"r": 1, "r": 2}'), "adapter_config.json: repeats the key 'r'"),
        (lambda adapter: (adapter / SETTINGS).write_text(" " * 2_000_000), "more than 1,000,000 bytes"),
    ],
    ids=["lost", "foreign", "infinite", "rank", "names", "method", "more", "code", "pickle", "twice", "large"],
)
def test_what_would_be_taken_with_a_warning_or_none_is_refused(
    base: Any, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """PEFT itself fills missing weights at random, and passes over those that no layer has."""
    adapter = saved(base, tmp_path)
    spoil(adapter)
    with pytest.raises(ShedError, match=said) as error:
        with_adapter(copy.deepcopy(base), adapter, "base")
    assert "\n" not in str(error.value)
