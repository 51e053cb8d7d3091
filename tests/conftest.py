"""A tiny random model with a byte tokenizer, saved as a local folder, and records to tune it on."""

from pathlib import Path

import pytest
from hypothesis import settings

from shed.data.records import Record, single_turn

settings.register_profile("shed", deadline=None, derandomize=True)
settings.load_profile("shed")

CHAT_TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers on every machine; stages in processes of their own take the dtype of the processor."""
    monkeypatch.setattr("shed.models.loading.has_fast_bfloat16", lambda: False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random Llama of three layers; its name is its path."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={"<end>": 0, **{c: i for i, c in enumerate(alphabet, start=1)}}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def records() -> list[Record]:
    """Twelve questions with two options each, of three lengths."""
    return [
        single_turn(
            f"which of the {'very ' * (i % 3)}two is number {i}", f"it is {i}", "counting", f"test {i}", [f"it is {i}", "no"], 0
        )
        for i in range(12)
    ]


@pytest.fixture
def project_root() -> Path:
    return Path(__file__).parent.parent
