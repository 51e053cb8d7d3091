"""A small pool of two kinds of questions, a tiny embedder, settings with which each verb takes a moment, and runs that cost none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shed.data.records import Record
from shed.evaluation import run_ledger

PLACES = ("hall", "yard", "barn", "shop", "port", "mill")


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of random word vectors."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "how", "many", "where", "is", "the", "key", "to", *PLACES, *map(str, range(60))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    folder = str(tmp_path_factory.mktemp("words") / "embedder")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu").save(folder)
    return folder


@pytest.fixture
def pool() -> list[dict[str, Any]]:
    """Twenty-four rows, sums and places in turn."""
    sums = [
        {"instruction": f"how many is {n} and {n + 1}", "output": f"it is {2 * n + 1}", "source": "sums", "id": f"s{n}"}
        for n in range(12)
    ]
    places = [
        {"instruction": f"where is key {n}", "output": f"in the {PLACES[n % 6]}", "source": "places", "id": f"p{n}"}
        for n in range(12)
    ]
    return [row for pair in zip(sums, places, strict=True) for row in pair]


@pytest.fixture
def dev() -> list[dict[str, Any]]:
    return [{"prompt": f"how many is {n} and 1", "response": f"it is {n + 1}"} for n in range(20, 24)]


@pytest.fixture
def test() -> list[dict[str, Any]]:
    return [{"prompt": f"how many is {n} and 2", "response": f"it is {n + 2}"} for n in range(30, 34)]


@pytest.fixture
def small(tiny_model: str, tiny_embedder: str) -> dict[str, Any]:
    """Settings by section."""
    return {
        "C": 4,
        "model": {"name": tiny_model, "max_tokens": 128},
        "embed": {"model": tiny_embedder},
        "rate": {"warm_rows": 8},
        "regime": {"depth": 1, "batch_size": 4, "epochs": 1},
        "score": {"budget": {"fte": None, "evaluations": 4}},
        "sample": {"rows": 6, "fraction": None},
        "finetune": {"epochs": 1},
        "evaluate": {"written": {"limit": 0}},
    }


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The rows and the seed of each run that is made; none is tuned, and a sum among its rows takes a tenth of a nat away."""
    made: list[tuple[list[str], int]] = []
    sums: list[int] = []

    def finetune(rows: Sequence[Record], _: Any, settings: Any, *about: Any) -> None:
        made.append(([record.id for record in rows], settings.seed))
        sums.append(sum(record.source == "sums" for record in rows))

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        rng = np.random.default_rng(made[-1][1])
        items = pd.DataFrame(
            [(f"{split}_{one.source}", one.id, np.nan, 3.0, 1.0, np.nan) for split, own in splits.items() for one in own],
            columns=["task", "id", "correct", "nats", "tokens", "choice_nats"],
        )
        return items.assign(nats=3 - 0.1 * sums[-1] + rng.normal(0, 0.01, len(items)), written=np.nan)

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return made
