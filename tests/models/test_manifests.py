"""A manifest changes with each file that decides what a model computes, and with no other; what cannot be loaded has none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shed.common.errors import ShedError
from shed.models.loading import manifest


@pytest.fixture
def model(tiny_model: str, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A static embedder: no config.json, and all that it is in subfolders."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "text": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(tmp_path / "static"))
    return tmp_path / "static"


DECIDE = [
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "added.bin",
    "weights.gguf",
    "part/config.json",
    "part/x.msgpack",
    "a.pt",
]
DECIDE_NOT = [
    "README.md",
    "LICENSE",
    "licence.txt",
    "NOTICE",
    "picture.png",
    ".gitattributes",
    ".cache/state.json",
    "card/use.md",
]


def test_each_file_that_may_decide_is_in_the_manifest(model: Path) -> None:
    known = manifest(str(model), "language model")
    for name in [*DECIDE, *DECIDE_NOT]:
        path = model / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("one")
    first = manifest(str(model), "language model")["files"]
    assert set(first) == {*known["files"], *DECIDE}
    for name in [*DECIDE, *DECIDE_NOT]:
        (model / name).write_text("another")
    second = manifest(str(model), "language model")["files"]
    assert {name for name in first if first[name] != second[name]} == set(DECIDE)
    assert list(second) == sorted(second)


def test_links_are_followed_as_a_hub_cache_needs_it(model: Path, tmp_path: Path) -> None:
    """There, a snapshot is a folder of links into a folder of blobs."""
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for path in model.iterdir():
        (snapshot / path.name).symlink_to(path)
    (snapshot / "again").symlink_to(snapshot)  # and no loop is walked for ever
    assert manifest(str(snapshot), "language model")["files"] == manifest(str(model), "language model")["files"]
    (model / "config.json").rename(model / "other.json")
    with pytest.raises(ShedError, match=r"config\.json: this link leads nowhere"):
        manifest(str(snapshot), "language model")


def test_a_static_embedder_has_a_manifest_and_loads(static: Path) -> None:
    from shed.models.checks import check_embedder

    assert not (static / "config.json").exists()
    before = manifest(str(static), "embedder")["files"]
    check_embedder(str(static))
    (tokenizer,) = static.rglob("tokenizer.json")
    tokenizer.write_text(tokenizer.read_text().replace('"text"', '"book"'))
    after = manifest(str(static), "embedder")["files"]
    assert [name for name in before if before[name] != after[name]] == [tokenizer.relative_to(static).as_posix()]
    with pytest.raises(ShedError, match=r"holds no model \(no config\.json\)") as refused:
        manifest(str(static), "language model")
    assert refused.value.setting == "model"


def test_an_embedder_of_code_from_elsewhere_is_refused(static: Path) -> None:
    from shed.models.checks import check_embedder

    modules = json.loads((static / "modules.json").read_text())
    (static / "mine.py").write_text("raise SystemExit('this ran')")
    modules[0]["type"] = "mine.Embedding"
    (static / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ShedError, match=r"its embedder cannot be loaded \(.+\)") as refused:
        check_embedder(str(static))
    assert refused.value.setting == "embedder"
    assert "\n" not in str(refused.value)


def spoil(name: str, text: str | None) -> Callable[[Path], None]:
    """What puts this text in place of a file, or takes the file away."""

    def change(folder: Path) -> None:
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)

    return change


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model-00001-of-00001.bin")


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])


def sharded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


REFUSED = {
    "no config": (spoil("config.json", None), r"this folder holds no model \(no config\.json\)"),
    "no weights": (spoil("model.safetensors", None), r"holds no weights \(no \.safetensors file\)"),
    "a pickle": (pickled, r"pytorch_model-00001-of-00001\.bin is a pickle, .* save it again with save_pretrained"),
    "garbage": (spoil("model.safetensors", "garbage"), r"model\.safetensors: not a whole safetensors file"),
    "empty": (spoil("model.safetensors", ""), r"model\.safetensors: not a whole safetensors file"),
    "cut": (cut, r"model\.safetensors: not a whole safetensors file"),
    "a missing part": (sharded, r"model-00002-of-00002\.safetensors is missing"),
    "a bad index": (spoil("model.safetensors.index.json", "[1]"), "not an index of weight files"),
    "a deep index": (spoil("model.safetensors.index.json", "[" * 100_000), "not an index of weight files"),
    "an adapter": (spoil("adapter_config.json", "{}"), "this is an adapter, not a model; merge it into its base"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_cannot_be_loaded_is_refused_in_one_line(case: str, model: Path) -> None:
    change, message = REFUSED[case]
    change(model)
    with pytest.raises(ShedError, match=message) as refused:
        manifest(str(model), "language model")
    assert "\n" not in str(refused.value)


def test_a_config_of_more_layers_than_any_model_has_is_refused_before_they_are_made(model: Path) -> None:
    from shed.models.checks import skeleton

    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 10**9, "layer_types": None}))
    with pytest.raises(ShedError, match=r"its config cannot be loaded \(ValueError: 1000000000 layers, which no model has\)"):
        skeleton(str(model))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_model_is_not_run(model: Path, tmp_path: Path, file: str) -> None:
    from shed.models.checks import check_model
    from shed.models.specs import ModelSpec

    (model / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    own = {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M", "AutoTokenizer": ["mine.T", None]}
    config = json.loads((model / file).read_text())
    (model / file).write_text(json.dumps({**config, "auto_map": own, "model_type": "mine", "tokenizer_class": "Mine"}))
    with pytest.raises(
        ShedError, match=r"its (config|tokenizer) cannot be loaded \(ValueError: The repository .* custom code"
    ) as error:
        check_model(ModelSpec(str(model), "plain", 64))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_beside_safetensors_is_not_read_and_so_allowed(model: Path) -> None:
    (model / "pytorch_model.bin").write_text("old")
    assert "pytorch_model.bin" in manifest(str(model), "language model")["files"]


def test_the_hub_names_its_revision_and_files_are_looked_at_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_hub(*files: str) -> None:
        def model_info(_: str) -> Any:
            return SimpleNamespace(sha="a" * 40, siblings=[SimpleNamespace(rfilename=file) for file in files])

        monkeypatch.setattr("huggingface_hub.model_info", model_info)

    on_hub("config.json", "model.safetensors", "original/consolidated.00.pth", "onnx/model.onnx")
    assert manifest("some/model", "language model") == {"name": "some/model", "revision": "a" * 40}
    on_hub("config.json", "pytorch_model.bin")
    before = {"name": "some/model", "revision": "b" * 40}
    assert manifest("some/model", "language model", before) == before  # the hub is asked once alone
    with pytest.raises(ShedError, match="is a pickle"):
        manifest("some/other", "language model", before)
    with pytest.raises(ShedError, match=r"some/model: pytorch_model\.bin is a pickle"):
        manifest("some/model", "language model")
    on_hub("modules.json", "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json")
    assert manifest("some/embedder", "embedder")["revision"] == "a" * 40
    on_hub("modules.json", "model.safetensors", "2_Dense/pytorch_model.bin")
    with pytest.raises(ShedError, match=r"2_Dense/pytorch_model\.bin is a pickle"):
        manifest("some/embedder", "embedder")


def test_a_folder_below_the_home_may_be_named_by_a_tilde(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    found = manifest("~/model", "language model")
    assert found == {"name": "~/model", "files": manifest(str(model), "language model")["files"]}
