"""A tiny random model with a byte tokenizer, saved as a local folder, and records to tune it on."""

from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.tiny_model import tiny_model as save_tiny_model
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
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), layers=3, positions=256, chat_template=CHAT_TEMPLATE)


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


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random BERT whose tokens are words and pieces of words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("embedder")
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "say",
        "it",
        "one",
        "##one",
        "##two",
        *(f"w{n}" for n in range(300)),
    ]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(vocab={word: n for n, word in enumerate(vocabulary)}, model_max_length=16).save_pretrained(folder)
    bert = Transformer(str(folder))
    made = SentenceTransformer(modules=[bert, Pooling(bert.get_embedding_dimension(), pooling_mode="mean")])
    made.save(str(folder / "whole"))
    return str(folder / "whole")
