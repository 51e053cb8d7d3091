"""A model is loaded as its manifest names it, or refused in one line before its weights are read; no code of its own runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_tokenizers import save, tokenizer

from shed.common.errors import ShedError
from shed.models.checks import check_cut, check_model, skeleton
from shed.models.loading import load_embedder, load_language_model, load_model, load_tokenizer
from shed.models.lora import decoder_of, lora_modules
from shed.models.specs import LoraSettings, ModelSpec

ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]


@pytest.fixture
def model(tiny_model: str, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random Gemma 3 that sees images, too."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    folder, fast = tmp_path_factory.mktemp("gemma"), tokenizer("gemma2")
    fast.save_pretrained(folder)
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    text = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "layer_types": kinds, "sliding_window": 64}
    text |= {"vocab_size": len(fast), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = Gemma3Config(
        text_config={**text, "max_position_embeddings": 256},
        vision_config={**vision, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


def edit(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_model_is_checked_without_its_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    check_model(ModelSpec(str(model), "chat", 64), [LoraSettings(2, 4, ["q_proj"], 2), LoraSettings(2, 4, ["all-linear"])])
    assert {parameter.device.type for parameter in skeleton(str(model)).parameters()} == {"meta"}


def test_what_a_tuning_asks_of_a_model_is_checked_with_it(tiny_model: str) -> None:
    spec = ModelSpec(tiny_model, "plain", 64)
    with pytest.raises(
        ShedError, match=r"layers named v_porj that can be tuned \(did you mean v_proj\?\); it has q_proj,"
    ) as refused:
        check_model(spec, [LoraSettings(2, 4, ["q_proj", "v_porj"])])
    assert refused.value.setting == "LoRA modules"
    with pytest.raises(ShedError, match="in 4 layers, but the model has 3"):
        check_model(spec, [LoraSettings(2, 4, ["q_proj"], 4)])


def test_names_of_linear_layers_are_resolved_as_peft_does(tiny_model: str) -> None:
    from peft import LoraConfig, get_peft_model

    loaded = load_model(tiny_model)
    own = lora_modules(loaded, ["all-linear"])
    assert own == [*ATTENTION, *MLP]
    assert lora_modules(loaded, ["down_proj", "self_attn.q_proj", "down_proj"]) == ["down_proj", "self_attn.q_proj"]

    def tuned(modules: Any) -> list[str]:
        wrapped = get_peft_model(load_model(tiny_model), LoraConfig(target_modules=modules, task_type="CAUSAL_LM"))
        return [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]

    assert tuned(own) == tuned("all-linear") != []


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (["nothing"], "named nothing that can be tuned; it has q_proj, k_proj"),
        (["q_proj", ""], "named  that"),
        (["lm_head"], "named lm_head that can be tuned;"),
        (["self_attn"], "named self_attn that can be tuned;"),
        (["embed_tokens"], "named embed_tokens that can be tuned;"),
        (["_proj"], "named _proj that"),
        (["all-linear", "q_proj"], "all-linear names all linear layers; give it alone"),
    ],
)
def test_a_name_that_is_no_linear_layer_is_refused(tiny_model: str, modules: list[str], message: str) -> None:
    with pytest.raises(ShedError, match=message):
        lora_modules(skeleton(tiny_model), modules)


def test_a_layer_that_only_untuned_layers_have_is_refused(tiny_model: str) -> None:
    bare = skeleton(tiny_model)
    bare.model.layers[0].own = torch.nn.Linear(2, 2, device="meta")
    assert lora_modules(bare, ["own"]) == ["own"]
    with pytest.raises(ShedError, match="named own that"):
        lora_modules(bare, ["q_proj", "own"], range(1, 3))


def test_a_gemma_that_sees_images_is_read_as_its_text_part(gemma: str) -> None:
    check_model(ModelSpec(gemma, "chat", 64), [LoraSettings(2, 4, ["all-linear"], 2)])
    with pytest.raises(ShedError, match="attend to the last 64 tokens, and the context is of 256") as refused:
        check_model(ModelSpec(gemma, "chat", 999))
    assert refused.value.setting == "context length"
    loaded = load_language_model(ModelSpec(gemma, "plain", 999))
    assert loaded.encoder.limit == 256
    assert len(decoder_of(loaded.model).layers) == 3
    named = lora_modules(loaded.model, ["q_proj", "gate_proj"])
    assert len(named) == 1 + 3  # only the images' part has other layers called q_proj
    assert {name for name in named if "." in name} == {f"model.language_model.layers.{n}.self_attn.q_proj" for n in range(3)}
    with pytest.raises(ShedError, match="named fc1 that can be tuned"):
        lora_modules(loaded.model, ["fc1"])


def test_other_shapes_are_refused_from_the_config(model: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, T5Config

    GPT2Config(n_layer=1).save_pretrained(model)
    with pytest.raises(ShedError, match="GPT2LMHeadModel is not of the Llama shape"):
        check_model(ModelSpec(str(model), "plain", 64))
    T5Config().save_pretrained(model)
    with pytest.raises(ShedError, match=r"its config cannot be loaded \(ValueError: Unrecognized configuration class"):
        check_model(ModelSpec(str(model), "plain", 64))


SPOILT = {
    "config.json": ["garbage", "[]", "{}", '{"model_type": "no such"}', '{"model_type": "llama", "hidden_size": "many"}', ""],
    "tokenizer.json": ["garbage", "[]", "{}", '{"model": {}}', ""],
    "tokenizer_config.json": [
        "garbage",
        "[]",
        '{"auto_map": {"AutoTokenizer": ["mine.Mine", null]}, "tokenizer_class": "Mine"}',
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SPOILT.items() for text in texts])
def test_spoilt_files_are_one_line(model: Path, name: str, text: str) -> None:
    (model / "mine.py").write_text("raise SystemExit('this ran')")
    (model / name).write_text(text)
    with pytest.raises(
        ShedError, match=r"its (config|tokenizer) cannot be loaded \(.+\); save it again or use another"
    ) as refused:
        check_model(ModelSpec(str(model), "plain", 64))
    assert "\n" not in str(refused.value)
    assert refused.value.setting == "model"


def test_a_model_without_a_tokenizer_or_with_anothers(model: Path, tiny_model: str) -> None:
    edit(model / "config.json", vocab_size=100)
    with pytest.raises(ShedError, match="its tokenizer has 257 tokens and the model 100"):
        check_model(ModelSpec(str(model), "plain", 64))
    for path in model.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ShedError, match="its tokenizer cannot be loaded"):
        check_model(ModelSpec(str(model), "plain", 64))


def test_code_that_comes_with_a_model_never_runs(model: Path) -> None:
    (model / "mine.py").write_text("raise SystemExit('this ran')")
    auto = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}
    edit(model / "config.json", auto_map=auto)  # transformers has this kind itself
    check_model(ModelSpec(str(model), "plain", 64))
    load_model(str(model))
    edit(model / "config.json", auto_map=auto, model_type="mine")
    with pytest.raises(ShedError, match="its config cannot be loaded"):
        check_model(ModelSpec(str(model), "plain", 64))
    with pytest.raises(ShedError, match="its model cannot be loaded"):
        load_model(str(model))


def test_weights_that_are_missing_are_not_made_up(model: Path) -> None:
    edit(model / "config.json", num_hidden_layers=4)
    with pytest.raises(ShedError, match=r"its files lack 9 of the model's weights, such as model\.layers\.3"):
        load_model(str(model))


def test_a_pickle_is_never_read(model: Path) -> None:
    torch.save(load_model(str(model)).state_dict(), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    with pytest.raises(ShedError, match="its model cannot be loaded"):
        load_model(str(model))


def test_a_hub_model_is_loaded_at_the_revision_of_its_manifest(monkeypatch: pytest.MonkeyPatch, tiny_model: str) -> None:
    import sentence_transformers
    import transformers

    asked: list[tuple[str, Any]] = []

    def note(original: Any) -> Any:
        def loaded(name: str, *, revision: str | None = None, **others: Any) -> Any:
            asked.append((name, revision))
            assert others["trust_remote_code"] is False
            return original(tiny_model, **others)

        return loaded

    for kind in (transformers.AutoTokenizer, transformers.AutoModelForCausalLM, transformers.AutoConfig):
        monkeypatch.setattr(kind, "from_pretrained", note(kind.from_pretrained))
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", note(lambda name, **_: None))
    load_language_model(ModelSpec("some/model", "plain", 64, "a" * 40))
    check_model(ModelSpec("some/model", "plain", 64, "a" * 40))
    load_embedder("some/model", "a" * 40)
    assert set(asked) >= {("some/model", "a" * 40)}
    assert {revision for name, revision in asked if name == "some/model"} == {"a" * 40}


@pytest.mark.parametrize("kind", ["smollm2", "llama2", "qwen3"])
def test_tokenizers_are_the_same_after_they_were_saved(kind: Any, tmp_path: Path) -> None:
    text = "Answer: Oslo\n\nit is é 😀 <|im_end|></s> 12"
    saved = load_tokenizer(save(kind, tmp_path))
    assert saved.is_fast
    assert saved(text)["input_ids"] == tokenizer(kind)(text)["input_ids"]


def test_a_context_that_cuts_most_records_is_warned_of_and_one_that_cuts_all_is_refused() -> None:
    assert check_cut("dev", {"share_cut": 0.5}, 8) is None
    assert check_cut("dev", {"share_cut": 0.75}, 8) == (
        "75% of the records are longer than the context of 8 tokens and are cut; raise it"
    )
    with pytest.raises(ShedError, match="the dev: every record is longer than the context of 8 tokens") as error:
        check_cut("dev", {"share_cut": 1.0}, 8)
    assert error.value.setting == "context length"
